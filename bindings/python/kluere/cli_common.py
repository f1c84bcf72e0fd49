"""What the commands of `python -m kluere` share."""

from __future__ import annotations

import argparse
import os
import sys

from ._arrays import choices
from .context import Context
from .dataset import Dataset


def add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        default="auto",
        choices=["auto", "klue_json", "competition_csv", "json_lines", "flat_csv"],
        help="of the data files (default: by content)",
    )
    parser.add_argument(
        "--bad-rows",
        default="stop",
        choices=["stop", "skip"],
        help="stop at the first bad row (default), or leave bad rows out and report them",
    )


def add_input_form(parser, text: str, template: bool = False) -> None:
    """--input-form with the names of KLUERE_INPUT_*; template: also a form of the user's own, which needs --template."""
    names = [name for name in choices("KLUERE_INPUT_") if template or name != "template"]
    parser.add_argument("--input-form", choices=names, metavar="NAME", help=f"{text}: " + ", ".join(names))


def add_input_options(parser, default: str) -> None:
    """How a new or an opened model makes tokens of a sentence: --input-form and what goes with it."""
    parser.add_argument(
        "--max-tokens", type=int, metavar="N",
        help="longer sentences are cropped around the entities (default: the model's; 256 for random weights)",
    )
    add_input_form(parser, f"how entities are shown (default: {default})", template=True)
    parser.add_argument(
        "--template", metavar="TEXT", help="an input form of your own, such as '{subject}{와/과} {object} [SEP] {sentence}'"
    )
    parser.add_argument(
        "--particles",
        choices=list(choices("KLUERE_PARTICLES_")),
        help="와/과 of the form as they are written (default), or by the word before",
    )
    parser.add_argument(
        "--after-marker",
        choices=list(choices("KLUERE_AFTER_MARKER_")),
        help="the rest of a word that a marker cuts (default: new_word; klue_repair with --input-form klue)",
    )
    heads = list(choices("KLUERE_HEAD_"))
    parser.add_argument(
        "--head", choices=heads, metavar="NAME", help="what decides (default: the model's, or cls): " + ", ".join(heads)
    )
    parser.add_argument(
        "--entity-segments", action="store_true", default=None, help="token types say what is subject and what is object"
    )


def input_options(options) -> dict:
    """What `add_input_options` read, as Model.create and Model.open take it."""
    return dict(
        max_tokens=options.max_tokens,
        input_form=options.input_form,
        input_template=options.template,
        particles=options.particles,
        after_marker=options.after_marker,
        head=options.head,
        entity_segments=options.entity_segments,
    )


def add_shape(parser) -> None:
    """Of a model with random weights."""
    parser.add_argument("--family", choices=list(choices("KLUERE_FAMILY_")), help="of random weights (default: roberta)")
    parser.add_argument("--layers", type=int, metavar="N", help="of random weights (default: 4)")
    parser.add_argument("--hidden", type=int, metavar="N", help="of random weights (default: 256)")
    parser.add_argument("--heads", type=int, metavar="N", help="of random weights (default: 4)")
    parser.add_argument("--intermediate", type=int, metavar="N", help="of random weights (default: 4 x hidden)")


def shape_of(options) -> dict:
    """What `add_shape` read, as Model.create takes it."""
    return dict(
        family=options.family,
        layer_count=options.layers,
        hidden_size=options.hidden,
        head_count=options.heads,
        intermediate_size=options.intermediate,
    )


def check_shape(options, parser: argparse.ArgumentParser) -> None:
    if options.model and any(value is not None for value in shape_of(options).values()):
        parser.error("--family, --layers, --hidden, --heads and --intermediate are for random weights (--tokenizer)")


def precision_of(options) -> str:
    """--precision; without it a GPU computes in what it does best, the CPU in float32."""
    return options.precision or ("float32" if options.device == "cpu" else "auto")


def open_context(options) -> Context:
    return Context(device=options.device, threads=options.threads)


def read_data(path, labels, options, context: Context) -> Dataset:
    dataset = Dataset.read(
        path, format=options.format, labels=labels, bad_rows=options.bad_rows, context=context
    )
    if dataset.skipped_count:
        for reason in dataset.skipped[:10]:
            print(f"kluere: left out: {reason}", file=sys.stderr)
        print(f"kluere: {path}: {dataset.skipped_count} bad rows left out", file=sys.stderr)
    return dataset


def model_folder(path: str) -> str:
    """The folder itself, or the model that `train -o` put into it."""
    inside = os.path.join(path, "model")
    if not os.path.exists(os.path.join(path, "config.json")) and os.path.isdir(inside):
        return inside
    return path
