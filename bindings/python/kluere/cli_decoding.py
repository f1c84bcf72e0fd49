"""python -m kluere decode"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Dict, Optional

from .cli_common import add_data_options, model_folder, open_context, precision_of, read_data
from .decoding import fit_decoding
from .model import Model
from .pipeline import FILE_NAME as PIPELINE_FILE


def _add_decode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model folder")
    parser.add_argument(
        "held_out", nargs="?", metavar="HELD_OUT", help="labelled sentences that the model was not trained on"
    )
    parser.add_argument("--no-temperature", action="store_true", help="leave the temperature at 1")
    parser.add_argument(
        "--class-weights", action="store_true", help="tune a weight for each class; kept if held-out folds gain by them"
    )
    parser.add_argument(
        "--prior", metavar="LABEL=SHARE", help="the share that a label will have, as no_relation=0.6; the others keep theirs"
    )
    parser.add_argument("--unlabelled", metavar="FILE", help="estimate the shares from these sentences instead")
    parser.add_argument(
        "--source", metavar="TRAIN", help="sentences whose labels are distributed as in training (default: HELD_OUT)"
    )
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="of the held-out figures (default: 5)")
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="of the folds (default: 42)")
    parser.add_argument("--remove", action="store_true", help="take the model's decoding away")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="another folder for the model (default: MODEL itself)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, fractions of 1")
    add_data_options(parser)


def _shares(text: Optional[str], parser: argparse.ArgumentParser) -> Optional[Dict[str, float]]:
    if text is None:
        return None
    label, equals, share = text.rpartition("=")
    try:
        return {label: float(share)} if equals and label else parser.error(f"--prior {text}: expected LABEL=SHARE")
    except ValueError:
        parser.error(f"--prior {text}: expected LABEL=SHARE with a number")


def _decode(options, parser: argparse.ArgumentParser) -> None:
    if options.remove and options.held_out:
        parser.error("--remove and HELD_OUT exclude each other")
    if not options.remove and not options.held_out:
        parser.error("decode needs HELD_OUT (or --remove)")
    if options.prior and options.unlabelled:
        parser.error("--prior and --unlabelled exclude each other: both say what is to come")
    if options.source and not (options.prior or options.unlabelled):
        parser.error("--source is for --prior and --unlabelled")
    if (Path(options.model) / PIPELINE_FILE).exists():
        parser.error(f"{options.model} is a pipeline: decode its members, each on sentences that it was not trained on")
    prior = _shares(options.prior, parser)
    context = open_context(options)
    folder = model_folder(options.model)
    model = Model.open(folder, context=context)
    output = options.output or folder
    if options.remove:
        model.with_decoding(None).save(output)
        print(f"no decoding: {output}")
        return

    def read(path: Optional[str]):
        return None if path is None else read_data(path, model.labels, options, context)

    decoding, report = fit_decoding(
        model,
        read(options.held_out),
        temperature=not options.no_temperature,
        class_weights=options.class_weights,
        prior=prior,
        unlabelled=read(options.unlabelled),
        source=read(options.source),
        folds=options.folds,
        seed=options.seed,
        precision=precision_of(options),
    )
    model.with_decoding(decoding).save(output)
    labels = model.labels
    weights, source, target = decoding.class_weights, decoding.source_prior, decoding.target_prior
    if options.json:
        result = {"temperature": decoding.temperature, **dataclasses.asdict(report)}
        for name, values in (("class_weights", weights), ("source_prior", source), ("target_prior", target)):
            result[name] = None if values is None else dict(zip(labels, values))
        print(json.dumps(result, ensure_ascii=False))
        return
    print(f"temperature {decoding.temperature:.4f}")
    if options.class_weights and not report.keeps_weights:
        print("class weights: held-out rows did not gain by them, left at 1")
    if weights is not None:
        moved = [f"{label} {weight:.3g}" for label, weight in zip(labels, weights) if abs(weight - 1) > 1e-9]
        print("class weights: " + ", ".join(moved))
    if target is not None and "no_relation" in labels:
        place = labels.index("no_relation")
        print(f"share of no_relation: {100 * source[place]:.1f} % to {100 * target[place]:.1f} %")
    print(report.table())
    print(f"model: {output}")


DECODING_COMMANDS = (
    ("decode", _add_decode, _decode, "fit temperature, class weights and prior correction to held-out sentences"),
)
