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
