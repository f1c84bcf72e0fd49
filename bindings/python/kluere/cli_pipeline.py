"""python -m kluere cascade, train --folds, and models or pipelines for the commands that predict."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .cascade import train_cascade
from .cli_common import model_folder, precision_of
from .context import Context
from .folds import PLAN_NAME, train_folds
from .metrics import compute_metrics, evaluate, no_relation_of
from .model import Model
from .pipeline import FILE_NAME, Pipeline

# Of a command line: what a training is, and not where it lies or how it is watched.
_NOT_SETTINGS = {"command", "arguments", "quiet", "threads", "resume", "train", "output", "dev", "rule", "threshold", "folds"}


def open_model(path: str, options, context: Context):
    """The pipeline or the model in a folder."""
    if (Path(path) / FILE_NAME).exists():
        return Pipeline.open(path, precision=precision_of(options), context=context)
    return Model.open(model_folder(path), context=context)


def add_folds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folds", type=int, default=0, metavar="N", help="N models, each trained without one of N folds; OUT is their mean"
    )


def check_folds(options, parser: argparse.ArgumentParser) -> None:
    for name, value in (("--dev", options.dev), ("--validation-fraction", options.validation_fraction)):
        if options.folds and value is not None:
            parser.error(f"--folds and {name} exclude each other: every fold is held out once")
    if options.distill and (options.folds or "pair" in options):
        parser.error("--distill has a row for each of TRAIN, and the members of --folds or cascade see some of them")
    if options.folds == 1 or options.folds < 0:
        parser.error("--folds: expected at least 2")
    if (Path(options.output) / PLAN_NAME).exists() and not options.resume:
        parser.error(f"{options.output} was begun: add --resume to go on, or choose another folder")


def _settings(options) -> dict:
    return {name: value for name, value in vars(options).items() if name not in _NOT_SETTINGS}


def train_with_folds(options, train, context: Context, start, new_trainer) -> None:
    """start(labels) and new_trainer(model, train, held_out, folder) as in train_folds."""
    folds = train_folds(
        options.output, start, train, options.folds, trainer=new_trainer, settings=_settings(options),
        seed=42 if options.seed is None else options.seed, save=options.save, progress=not options.quiet,
        precision=precision_of(options), context=context,
    )
    labels = train.labels
    print(
        compute_metrics(
            folds.out_of_fold, train.label_indices, label_names=labels, no_relation=no_relation_of(labels)
        )
    )
    print(f"out of fold; pipeline: {options.output}")


def add_cascade(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pipeline")
    group.add_argument(
        "--kind", default="cascade", choices=["cascade", "pairs"], help="pairs: without the binary classifier"
    )
    group.add_argument(
        "--pair", action="append", default=[], metavar="SUBJECT-OBJECT", help="types with a classifier of their own, as PER-ORG"
    )
    group.add_argument("--rule", choices=["threshold", "product"], help="of the cascade (default: threshold)")
    group.add_argument("--threshold", type=float, metavar="X", help="of no_relation (default: 0.765)")
    group.add_argument(
        "--general", default="all", choices=["all", "relations"], help="rows that the general classifier learns from"
    )
    group.add_argument(
        "--narrow-labels", action="store_true", help="classifiers of pairs have only the labels that occur with their types"
    )


def run_cascade(options, parser, train, held_out, context: Context, start, new_trainer) -> None:
    pairs = []
    for text in options.pair:
        subject, dash, object = text.partition("-")
        if not dash or not subject or not object:
            parser.error(f"--pair {text}: expected two types, as PER-ORG")
        pairs.append((subject, object))
    found = train_cascade(
        options.output, start, train, held_out, kind=options.kind, pairs=pairs, rule=options.rule,
        threshold=options.threshold, general=options.general, narrow_labels=options.narrow_labels, folds=options.folds,
        trainer=new_trainer, settings=_settings(options), seed=42 if options.seed is None else options.seed,
        save=options.save, progress=not options.quiet, context=context,
    )
    precision = precision_of(options)
    with Pipeline.open(found.folder, precision=precision, context=context) as pipeline:
        if held_out is not None:
            print(evaluate(pipeline, held_out, precision=precision))
        print(f"{pipeline!r}: {found.folder}", file=sys.stderr)
