"""python -m kluere train|evaluate|predict, and the commands of the other cli_*.py"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import List, Optional

from . import __version__
from ._arrays import choices
from .cli_common import (
    add_data_options, add_input_options, add_shape, check_shape, input_options, model_folder, open_context, precision_of,
    read_data, shape_of,
)
from .cli_data import DATA_COMMANDS, WITHOUT_A_MODEL
from .cli_decoding import DECODING_COMMANDS
from .cli_evaluation import EVALUATION_COMMANDS, print_metrics
from .cli_loss import LOSS_COMMANDS, add_loss_options, loss_of
from .cli_pipeline import add_cascade, add_folds, check_folds, open_model, run_cascade, train_with_folds
from .cli_pretrain import PRETRAIN_COMMANDS
from .cli_recipes import (
    RECIPE_COMMANDS, add_recipe, loss_or_recipe, model_options, training_options, use_pipeline_of_recipe,
)
from .cli_quantization import QUANTIZATION_COMMANDS
from .cli_training import add_training_extras, training_extras
from .cli_tune import TUNE_COMMANDS
from .cli_types import TYPES_COMMANDS, add_mask_options, add_pair_options, mask_settings, predict_pairs
from .context import Context
from .dataset import Dataset
from .errors import KluereError
from .example import Entity, Example
from .metrics import evaluate, score
from .model import Model
from .progress import ProgressBar
from .tokenizer import Tokenizer
from .training import Trainer
from .training_log import TrainingLog


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs a command line; returns the exit status: 0, 1 for a failure, 2 for a wrong command line, 130 for Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options.command(options, parser)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        print("kluere: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head`: not our failure, but nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KluereError, OSError, ImportError, ValueError) as problem:
        print(f"kluere: {problem}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kluere", description="Korean relation extraction.")
    parser.add_argument("--version", action="version", version=f"kluere {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, add, command, text in (
        ("train", _add_train, _train, "train a model and save it"),
        ("cascade", _add_cascade, _cascade, "train a cascade, or classifiers for pairs of entity types"),
        ("evaluate", _add_evaluate, _evaluate, "micro-F1 and AUPRC of a model on labelled sentences"),
        ("predict", _add_predict, _predict, "relations of a file's sentences, or of one sentence"),
        *DATA_COMMANDS,
        *EVALUATION_COMMANDS,
        *LOSS_COMMANDS,
        *DECODING_COMMANDS,
        *QUANTIZATION_COMMANDS,
        *TUNE_COMMANDS,
        *TYPES_COMMANDS,
        *PRETRAIN_COMMANDS,
        *RECIPE_COMMANDS,
    ):
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(command=command)
        add(sub)
        sub.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: every core)")
        sub.add_argument("--quiet", action="store_true", help="no progress on stderr")
        if name in WITHOUT_A_MODEL:
            sub.set_defaults(device="cpu", precision=None)
            continue
        sub.add_argument("--device", default="cpu", help="cpu, auto, cuda or cuda:N (default: cpu)")
        sub.add_argument(
            "--precision",
            choices=["auto", "float32", "tf32", "bfloat16", "float16"],
            help="of products on a GPU (default: auto with --device cuda or auto, else float32)",
        )
    return parser


# ---- train


def _add_train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("train", metavar="TRAIN", help="labelled sentences: KLUE JSON, JSON Lines or the competition's CSV")
    held_out = parser.add_mutually_exclusive_group()
    held_out.add_argument("--dev", metavar="FILE", help="labelled sentences to evaluate on")
    held_out.add_argument(
        "--validation-fraction", type=float, metavar="F", help="hold out this share of TRAIN instead (0 < F < 1)"
    )
    add("-o", "--output", required=True, metavar="OUT", help="folder for model/, checkpoint-last/, checkpoint-best/")
    add("--resume", action="store_true", help="go on from OUT/checkpoint-last, if it is there, as it was begun")
    add(
        "--labels",
        choices=["klue", "competition", "custom"],
        help="label set; custom: those of TRAIN (default: the model's, KLUE's 30 for random weights)",
    )
    add(
        "--save",
        default="last",
        choices=["last", "best"],
        help="which weights become OUT/model: the last (default) or those best on the held-out sentences",
    )
    add_folds(parser)
    add_data_options(parser)

    add_recipe(parser)
    start = parser.add_argument_group("where the weights start")
    which = start.add_mutually_exclusive_group()
    which.add_argument(
        "--model", metavar="FOLDER", help="a folder of kluere or of transformers (BERT, RoBERTa, XLM-R, ELECTRA)"
    )
    which.add_argument("--tokenizer", metavar="PATH", help="random weights; a tokenizer's folder or file")
    add_shape(start)
    add_input_options(start, "the model's; typed_marker_punct for random weights")

    types = parser.add_argument_group("entity types, learned from TRAIN without the held-out sentences")
    types.add_argument(
        "--type-mask", choices=["prediction", "training"], help="log-priors by types: in prediction alone, or in both"
    )
    add_mask_options(types)
    types.add_argument("--pair-heads", action="store_true", help="a last layer for each pair of types")
    types.add_argument("--pair-hard-count", type=int, metavar="N", help="labels that a pair's has (default: 1)")

    run = parser.add_argument_group("training")
    run.add_argument("--epochs", type=float, metavar="X", help="passes over the data (default: 3)")
    run.add_argument("--max-steps", type=int, metavar="N", help="updates, in place of epochs")
    run.add_argument("--lr", type=float, metavar="X", help="peak learning rate (default: 5e-5, or 3e-4 from random weights)")
    run.add_argument("--batch-size", type=int, metavar="N", help="sentences of a micro-batch (default: 32)")
    run.add_argument("--batch-tokens", type=int, metavar="N", help="tokens of a micro-batch, in place of sentences")
    run.add_argument("--accumulation", type=int, metavar="N", help="micro-batches of an update (default: 1)")
    run.add_argument("--beta1", type=float, metavar="X", help="of AdamW (default: 0.9)")
    run.add_argument("--beta2", type=float, metavar="X", help="of AdamW (default: 0.999)")
    run.add_argument("--epsilon", type=float, metavar="X", help="of AdamW (default: 1e-8)")
    run.add_argument("--weight-decay", type=float, metavar="X", help="default: 0.01")
    run.add_argument("--max-grad-norm", type=float, metavar="X", help="0 = no clipping (default: 1)")
    run.add_argument("--schedule", choices=list(choices("KLUERE_SCHEDULE_")), help="default: linear")
    run.add_argument("--warmup-ratio", type=float, metavar="X", help="share of all updates (default: 0.1)")
    run.add_argument("--warmup-steps", type=int, metavar="N", help="in place of the ratio")
    run.add_argument("--dropout", type=float, metavar="X", help="everywhere (default: the model's)")
    run.add_argument("--multi-sample-dropout", type=int, metavar="N", help="masks before the output layer (default: 1)")
    run.add_argument("--group-by-length", action="store_true", default=None, help="like lengths share a batch")
    run.add_argument("--seed", type=int, metavar="N", help="of weights, order of rows, dropout and split (default: 42)")
    run.add_argument("--evaluate-every", type=int, metavar="N", help="updates (default: at the end of each epoch)")
    run.add_argument("--checkpoint-every", type=int, metavar="N", help="updates (default: at each evaluation)")
    run.add_argument("--patience", type=int, metavar="N", help="evaluations without improvement before it stops")
    run.add_argument("--best-metric", choices=["micro_f1", "auprc", "loss"], help="default: micro_f1")
    add_loss_options(parser)
    add_training_extras(parser)


def _check_training(options, parser: argparse.ArgumentParser) -> None:
    """What train and cascade refuse alike."""
    check_shape(options, parser)
    if options.validation_fraction is not None and not 0 < options.validation_fraction < 1:
        parser.error(f"--validation-fraction: {options.validation_fraction}, expected more than 0 and less than 1")
    if options.type_mask is None and any(value is not None for value in mask_settings(options).values()):
        parser.error("--mask-smoothing, --mask-strength and --mask-hard-count need --type-mask")
    if options.pair_hard_count is not None and not options.pair_heads:
        parser.error("--pair-hard-count needs --pair-heads")


def _train(options, parser: argparse.ArgumentParser) -> None:
    output = Path(options.output)
    last = output / "checkpoint-last"
    resuming = options.resume and last.is_dir()
    if not (options.model or options.tokenizer or resuming):
        parser.error("train needs --model FOLDER or --tokenizer PATH")
    if options.save == "best" and not (options.dev or options.validation_fraction or options.folds):
        parser.error("--save best needs --dev, --validation-fraction or --folds")
    check_folds(options, parser)
    if last.exists() and not options.resume:
        parser.error(f"{last} exists: add --resume to go on from it, or choose another folder")
    if options.distill and options.validation_fraction is not None:
        parser.error("--distill has a row for each of TRAIN: give --dev in place of --validation-fraction")
    _check_training(options, parser)
    context = open_context(options)
    if options.folds:
        _, labels = _start(options, None, context)
        data = read_data(options.train, labels, options, context)
        train_with_folds(options, data, context, *_members_of(options, context))
        return
    start, labels = _start(options, last if resuming else None, context)
    train = read_data(options.train, labels, options, context)
    held_out = None
    if options.dev:
        held_out = read_data(options.dev, train.labels, options, context)
    elif options.validation_fraction is not None:
        train, held_out = train.split(options.validation_fraction, 42 if options.seed is None else options.seed)
    if resuming:
        trainer = Trainer.resume(output, train, held_out, context=context)
        print(f"kluere: going on from {last}", file=sys.stderr)
    else:
        if start is None:
            start = _new_model(options, train.labels, context)
        start = _with_types(options, start, train)
        output.mkdir(parents=True, exist_ok=True)
        trainer = _new_trainer(options, start, train, held_out)
        print(f"kluere: {start!r}, {len(train)} sentences, {context.threads} threads", file=sys.stderr)

    begun = time.monotonic()
    trainer.run(TrainingLog(output), progress=not options.quiet)
    seconds = time.monotonic() - begun
    if options.save == "best":
        trained = Model.open(output / "checkpoint-best", context=context)
    else:
        trained = trainer.export_model()
    trained.save(output / "model")
    if held_out is not None:
        print(evaluate(trained, held_out, precision=precision_of(options)))
    print(f"trained in {seconds:.1f} s; model: {output / 'model'}")


def _members_of(options, context: Context):
    """For the members of a pipeline: the model to start from, by its labels, and a trainer with a folder of its own."""

    def new_trainer(model: Model, train: Dataset, held_out: Optional[Dataset], folder: Path) -> Trainer:
        own = argparse.Namespace(**{**vars(options), "output": str(folder)})
        return _new_trainer(own, _with_types(options, model, train), train, held_out)

    return lambda labels: _new_model(options, list(labels), context), new_trainer


def _add_cascade(parser: argparse.ArgumentParser) -> None:
    _add_train(parser)
    add_cascade(parser)


def _cascade(options, parser: argparse.ArgumentParser) -> None:
    if not (options.model or options.tokenizer):
        parser.error("cascade needs --model FOLDER or --tokenizer PATH")
    use_pipeline_of_recipe(options)
    _check_training(options, parser)
    check_folds(options, parser)
    context = open_context(options)
    _, labels = _start(options, None, context)
    train, held_out = read_data(options.train, labels, options, context), None
    if options.dev:
        held_out = read_data(options.dev, train.labels, options, context)
    elif options.validation_fraction is not None:
        train, held_out = train.split(options.validation_fraction, 42 if options.seed is None else options.seed)
    run_cascade(options, parser, train, held_out, context, *_members_of(options, context))


def _start(options, checkpoint: Optional[Path], context: Context):
    """(model or None, labels to read the data with). The model's own labels rule unless --labels says otherwise."""
    if checkpoint is not None:
        with Model.open(checkpoint, context=context) as stopped:
            return None, stopped.labels
    if options.model and options.labels is None:
        start = _open_start(options, None, context)
        return start, start.labels
    return None, options.labels or "klue"


def _open_start(options, labels: Optional[List[str]], context: Context) -> Model:
    return Model.open(
        model_folder(options.model),
        labels=labels,
        seed=options.seed,
        context=context,
        **model_options(options),
    )


def _new_model(options, labels: List[str], context: Context) -> Model:
    if options.model:
        return _open_start(options, labels, context)
    return Model.create(
        Tokenizer(options.tokenizer, context=context),
        labels=labels,
        seed=options.seed,
        context=context,
        **shape_of(options),
        **model_options(options),
    )


def _with_types(options, start: Model, train: Dataset) -> Model:
    if options.pair_heads:
        # A last layer that is new itself has nothing worth copying; drawn anew, the blocks differ from the start.
        start = start.with_pair_heads(
            train, hard_count=options.pair_hard_count, random_init=options.model is None, seed=options.seed
        )
    if options.type_mask:
        start = start.with_type_mask(train, in_training=options.type_mask == "training", **mask_settings(options))
    return start


def _new_trainer(options, start: Model, train: Dataset, held_out: Optional[Dataset]) -> Trainer:
    # Weights that know nothing want a larger step than weights that are only fine-tuned.
    rate = options.lr if options.lr is not None or options.model or options.recipe else 3e-4
    given = dict(
        epochs=options.epochs,
        max_steps=options.max_steps,
        learning_rate=rate,
        batch_sentences=options.batch_size,
        batch_tokens=options.batch_tokens,
        accumulation=options.accumulation,
        beta1=options.beta1,
        beta2=options.beta2,
        epsilon=options.epsilon,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        schedule=options.schedule,
        multi_sample_dropout=options.multi_sample_dropout,
        warmup_ratio=options.warmup_ratio,
        warmup_steps=options.warmup_steps,
        hidden_dropout=options.dropout,
        attention_dropout=options.dropout,
        classifier_dropout=options.dropout,
        group_by_length=options.group_by_length,
        seed=options.seed,
        evaluate_every=options.evaluate_every,
        checkpoint_every=options.checkpoint_every,
        patience=options.patience,
        best_metric=options.best_metric,
        output_directory=options.output,
        precision=precision_of(options),
        **training_extras(options),
    )
    loss = loss_or_recipe(options, loss_of(options, train, start.labels))
    return Trainer(start, train, held_out, loss=loss, **training_options(options, given))


# ---- evaluate


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model folder, or one with a pipeline.json")
    parser.add_argument("data", metavar="DATA", help="labelled sentences")
    parser.add_argument("--per-class", action="store_true", help="the figures of each label too")
    parser.add_argument("--by-types", action="store_true", help="the figures of each pair of entity types too")
    parser.add_argument("--intervals", action="store_true", help="95 %% bootstrap intervals too")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, fractions of 1")
    parser.add_argument(
        "--missing-class",
        default="skip",
        choices=["skip", "half", "nan"],
        help="how AUPRC takes labels without a sentence (default: leave them out)",
    )
    add_data_options(parser)


def _scored(model: Model, dataset: Dataset, options):
    precision = precision_of(options)
    if options.quiet:
        return score(model, dataset, precision=precision)
    with ProgressBar("evaluate") as bar:
        return score(model, dataset, precision=precision, progress=bar.update)


def _evaluate(options, parser: argparse.ArgumentParser) -> None:
    context = open_context(options)
    model = open_model(options.model, options, context)
    dataset = read_data(options.data, model.labels, options, context)
    print_metrics(options, model.labels, *_scored(model, dataset, options))


# ---- predict


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model folder, or one with a pipeline.json")
    parser.add_argument("data", nargs="?", metavar="DATA", help="sentences with marked entities; labels are ignored")
    parser.add_argument("--text", metavar="SENTENCE", help="one sentence in place of DATA")
    for role in ("subject", "object"):
        parser.add_argument(
            f"--{role}",
            metavar="WORD|BEGIN:END",
            help=f"the {role}: a word that stands in it once, or code points, end exclusive",
        )
        parser.add_argument(f"--{role}-type", metavar="TYPE", help="PER, ORG, LOC, DAT, POH, NOH, or your own")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="with --text: how many relations (default: 3)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the competition's submission CSV")
    parser.add_argument("--json", action="store_true", help="JSON lines with the probability of every label")
    parser.add_argument(
        "--type-mask", default="auto", choices=["auto", "off"], help="the model's own (default), or none"
    )
    add_pair_options(parser)
    add_data_options(parser)


def _predict(options, parser: argparse.ArgumentParser) -> None:
    if [options.data, options.text, options.pairs].count(None) != 2:
        parser.error("predict needs DATA, --text or --pairs, one of the three")
    if options.pairs is not None and options.output:
        parser.error("-o is for DATA")
    if options.text is not None and (not options.subject or not options.object):
        parser.error("--text needs --subject and --object")
    if options.pairs is None and (options.prune != "none" or options.threshold or options.all_pairs):
        parser.error("--prune, --threshold and --all-pairs are for --pairs")
    if options.text is not None and options.output:
        parser.error("-o is for DATA")
    if options.output and options.json:
        parser.error("-o and --json exclude each other")
    context = open_context(options)
    model = open_model(options.model, options, context)
    labels = model.labels
    how = {"precision": precision_of(options)}
    if isinstance(model, Model):
        how["type_mask"] = options.type_mask
    elif options.type_mask != "auto" or options.pairs is not None:
        parser.error(f"{options.model} is a pipeline: --type-mask and --pairs are for one model")
    if options.pairs is not None:
        predict_pairs(options, model)
        return
    if options.text is not None:
        example = Example(
            options.text,
            _entity(options.text, options.subject, options.subject_type),
            _entity(options.text, options.object, options.object_type),
        )
        if options.json:
            _print_json(None, labels, model.predict(example, **how))
        else:
            for label, probability in model.best(example, options.top, **how):
                print(f"{probability:.4f}  {label}")
        return

    dataset = read_data(options.data, labels, options, context)
    if options.quiet:
        probabilities = model.predict(dataset, **how)
    else:
        with ProgressBar("predict") as bar:
            probabilities = model.predict(dataset, progress=bar.update, **how)
    if options.output:
        model.write_submission(options.output, dataset, probabilities)
        print(f"{len(dataset)} rows: {options.output}")
        return
    for example, row in zip(dataset, probabilities):
        if options.json:
            _print_json(example.id, labels, row)
        else:
            best = max(range(len(labels)), key=row.__getitem__)
            print(f"{example.id or ''}\t{labels[best]}\t{row[best]:.4f}")


def _entity(text: str, where: str, type: Optional[str]) -> Entity:
    offsets = re.fullmatch(r"(\d+):(\d+)", where)
    if offsets:
        return Entity(int(offsets[1]), int(offsets[2]), type)
    return Entity.find(text, where, type)


def _print_json(id: Optional[str], labels: List[str], row) -> None:
    best = max(range(len(labels)), key=row.__getitem__)
    result = {} if id is None else {"id": id}
    result["label"] = labels[best]
    result["probability"] = float(row[best])
    result["probabilities"] = {label: float(value) for label, value in zip(labels, row)}
    print(json.dumps(result, ensure_ascii=False))
