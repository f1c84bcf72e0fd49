"""python -m kluere tune: the command line of tune.py."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from . import tune
from .cli_common import (
    add_data_options, add_input_options, add_shape, check_shape, input_options, model_folder, open_context,
    precision_of, read_data, shape_of,
)
from .model import Model
from .progress import ProgressBar
from .tokenizer import Tokenizer


def add_tune(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("train", metavar="TRAIN", help="labelled sentences")
    add("--study", required=True, metavar="FILE", help="SQLite file of the study; an existing one goes on")
    add(
        "--dev",
        "--validation",
        dest="validation",
        metavar="FILE",
        help="labelled sentences to judge on (default: held out of TRAIN)",
    )
    add("--validation-fraction", type=float, default=0.2, metavar="F", help="share of TRAIN held out (default: 0.2)")
    add("--split-seed", type=int, default=42, metavar="N", help="of the sentences held out (default: 42)")
    add("--rows", type=int, metavar="N", help="use only the first N rows of TRAIN")
    add("--trials", type=int, default=20, metavar="N", help="finished trials that the study shall have (default: 20)")
    add("--workers", type=int, default=1, metavar="N", help="processes on the study; --threads are those of each")
    add("--metric", default="micro_f1", choices=tune.METRICS, help="to make best (default: micro_f1)")
    add("--evaluations", type=int, default=4, metavar="N", help="of each trial, where it may be pruned (default: 4)")
    add("--epochs", type=float, default=3, metavar="X", help="passes over the data in each trial (default: 3)")
    add("--batch-size", type=int, default=32, metavar="N", help="sentences of a batch (default: 32)")
    add("--seed", type=int, default=42, metavar="N", help="of the sampler (default: 42)")
    add(
        "--search",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="replace the values of a hyperparameter: learning_rate=1e-5:5e-5:log, schedule=linear,cosine, beta1=0.9",
    )
    add("--only", metavar="NAMES", help="search these alone, comma-separated; the others keep their defaults")
    add("--json", action="store_true", help="the finished trials as one JSON array on stdout")
    add("--report", metavar="FILE", help="write a page with the results as pictures")
    add("--labels", default="klue", choices=["klue", "competition", "custom"], help="label set (default: klue)")
    add_data_options(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="FOLDER", help="start from the weights of a model folder")
    which.add_argument("--tokenizer", metavar="PATH", help="start from random weights; a tokenizer's folder or file")
    add_shape(parser)
    add_input_options(parser, "the model's; typed_marker_punct for random weights")
    # A process that another one of this command started: it shows nothing and waits for nobody.
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)


def run_tune(options, parser: argparse.ArgumentParser) -> None:
    if options.workers < 1 or options.trials < 1:
        parser.error("--workers and --trials want at least 1")
    check_shape(options, parser)
    space = _space(options, parser)
    study = tune.open_study(options.study, metric=options.metric, trials=options.trials, seed=options.seed)
    if not options.worker:
        tune.prepare(study, _defaults(options, space))
    if options.workers > 1 and not options.worker:
        _run_workers(options, study)
    else:
        _search(options, study, space)
    if options.worker:
        return
    if options.report:
        from .tune_page import write_page

        write_page(study, options.report)
    if options.json:
        print(json.dumps(tune.results(study), ensure_ascii=False))
        return
    print(tune.table(study))
    complete = [row for row in tune.results(study) if row["state"] == "complete"]
    if complete:
        print("\nbest: python -m kluere train ... " + " ".join(tune.command_line(complete[0]["parameters"])))


def _space(options, parser: argparse.ArgumentParser) -> tune.Space:
    space = dict(tune.FINE_TUNING if options.model else tune.RANDOM_WEIGHTS)
    try:
        for entry in options.search:
            name, sign, values = entry.partition("=")
            if not sign:
                raise ValueError(f"--search {entry!r}, expected NAME=VALUES")
            space[name] = tune.parse_values(name, values)
    except ValueError as problem:
        parser.error(str(problem))
    if options.only:
        chosen = options.only.split(",")
        unknown = [name for name in chosen if name not in space]
        if unknown:
            parser.error(f"--only: {unknown[0]!r} is none of " + ", ".join(space))
        space = {name: space[name] for name in chosen}
    return space


def _search(options, study, space: tune.Space) -> None:
    context = open_context(options)
    if options.model:
        with Model.open(model_folder(options.model), context=context) as model:
            labels = model.labels
    else:
        labels = options.labels
    train = read_data(options.train, labels, options, context)
    if options.rows:
        train = train[: options.rows]
    if options.validation:
        validation = read_data(options.validation, train.labels, options, context)
    else:
        train, validation = train.split(options.validation_fraction, options.split_seed)
    tokenizer = None if options.model else Tokenizer(options.tokenizer, context=context)

    def start(seed: int) -> Model:
        same = dict(seed=seed, context=context, **input_options(options))
        if tokenizer is None:
            return Model.open(model_folder(options.model), **same)
        return Model.create(tokenizer, labels=train.labels, **shape_of(options), **same)

    bar = None if options.quiet or options.worker else ProgressBar("tune")

    def ended(trial) -> None:
        if bar is not None:
            value = "-" if trial.value is None else f"{trial.value:.4f}"
            memory = tune.resident_memory() / 2**20
            bar.line(f"trial {trial.number}: {trial.state.name.lower()}, {options.metric} {value}, {memory:.0f} MiB")
            bar.update(min(tune.finished(study), options.trials), options.trials)

    try:
        tune.search(
            study,
            start,
            train,
            validation,
            trials=options.trials,
            space=space,
            evaluations=options.evaluations,
            on_trial=ended,
            epochs=options.epochs,
            batch_sentences=options.batch_size,
            precision=precision_of(options),
        )
    finally:
        if bar is not None:
            bar.close()


def _defaults(options, space: tune.Space) -> dict:
    """The library's own values where the space holds them: a search that does not beat them was not worth it."""
    defaults = dict(
        learning_rate=5e-5 if options.model else 3e-4,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-8,
        warmup_ratio=0.1,
        weight_decay=0.01,
        schedule="linear",
        seed=42,
    )
    return {
        name: defaults[name] for name, values in space.items() if name in defaults and _holds(values, defaults[name])
    }


def _holds(values: tune.Values, value) -> bool:
    if isinstance(values, tune.Range):
        return values.low <= value <= values.high
    return isinstance(values, tuple) and value in values


def _run_workers(options, study) -> None:
    """The same command in several processes; the study's file is all they share."""
    command = [sys.executable, "-m", "kluere", *options.arguments, "--worker"]
    workers = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(options.workers)]
    bar = None if options.quiet else ProgressBar("tune")
    try:
        while any(worker.poll() is None for worker in workers):
            time.sleep(0.5)
            if bar is not None:
                bar.update(min(tune.finished(study), options.trials), options.trials)
        if any(worker.returncode for worker in workers):
            raise ValueError("a worker process ended with an error; its message stands above")
    finally:
        if bar is not None:
            bar.close()
        for worker in workers:
            # Ctrl-C in a terminal reaches the workers too: they note what they were at and end by themselves.
            try:
                worker.wait(timeout=60)
            except subprocess.TimeoutExpired:
                worker.terminate()
                worker.wait()


TUNE_COMMANDS = (("tune", add_tune, run_tune, "search hyperparameters with Optuna"),)
