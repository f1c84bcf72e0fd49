"""python -m kluere pretrain|tapt: masked-LM training on text, and on a task's own sentences."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Optional, Tuple

from . import charts
from ._arrays import choices
from .cli_common import (
    add_data_options, add_input_form, add_shape, check_shape, model_folder, open_context, precision_of, read_data, shape_of,
)
from .cli_recipes import add_recipe, corpus_options, pretraining_options
from .cli_training import add_training_extras, training_extras
from .context import Context
from .corpus import Corpus
from .masked_lm import MaskedLMTrainer
from .model import Model
from .tokenizer import Tokenizer
from .training_log import TrainingLog, read_log

CURVE_NAME = "loss-curve.svg"


def _add_masks(parser: argparse.ArgumentParser) -> None:
    masks = parser.add_argument_group("masks")
    masks.add_argument("--whole-words", action="store_true", default=None, help="mask all pieces of a word, or none")
    masks.add_argument("--mask-probability", type=float, metavar="P", help="of each token or word (default: 0.15)")


def _add_run(parser: argparse.ArgumentParser, rate: str) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for model/ and the checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint-last, if it is there")
    run = parser.add_argument_group("training")
    run.add_argument("--max-tokens", type=int, metavar="N", help="of a row of text (default: 128)")
    run.add_argument("--epochs", type=float, help="passes over the text (default: 3)")
    run.add_argument("--max-steps", type=int, metavar="N", help="updates, in place of epochs")
    run.add_argument("--lr", type=float, help=f"peak learning rate (default: {rate})")
    run.add_argument("--batch-size", type=int, metavar="N", help="rows of a micro-batch (default: 32)")
    run.add_argument("--batch-tokens", type=int, metavar="N", help="tokens of a micro-batch, in place of rows")
    run.add_argument("--accumulation", type=int, metavar="N", help="micro-batches of an update (default: 1)")
    run.add_argument("--weight-decay", type=float, metavar="X", help="default: 0.01")
    run.add_argument("--schedule", choices=list(choices("KLUERE_SCHEDULE_")), help="default: linear")
    run.add_argument("--warmup-ratio", type=float, metavar="X", help="share of all updates (default: 0.1)")
    run.add_argument("--warmup-steps", type=int, metavar="N", help="in place of the ratio")
    run.add_argument("--dropout", type=float, metavar="X", help="everywhere (default: the model's)")
    run.add_argument("--seed", type=int, help="of weights, order of rows, masks and dropout (default: 42)")
    run.add_argument("--evaluate-every", type=int, metavar="N", help="updates (default: at the end of each epoch)")
    run.add_argument("--checkpoint-every", type=int, metavar="N", help="updates (default: at each evaluation)")
    add_training_extras(parser)


def _add_pretrain(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("text", nargs="+", metavar="TEXT", help="UTF-8 text, a paragraph a line; a blank line ends a document")
    add("--dev", nargs="+", metavar="TEXT", help="text to measure the perplexity on")
    add("--rows", choices=["pack", "lines"], default="pack", help="full rows (default), or a row for each line")
    add("--bad-lines", choices=["stop", "skip"], default="stop", help="lines that are not UTF-8 (default: stop)")
    start = parser.add_argument_group("where the weights start")
    which = start.add_mutually_exclusive_group(required=True)
    which.add_argument("--tokenizer", metavar="PATH", help="random weights; a folder with a tokenizer, or its file")
    which.add_argument("--model", metavar="FOLDER", help="the weights of a folder")
    add_shape(start)
    start.add_argument("--positions", type=int, metavar="N", help="of random weights: longest input (default: 512)")
    _add_run(parser, "5e-5, or 1e-3 from random weights")
    _add_masks(parser)


def _pretrain(options, parser: argparse.ArgumentParser) -> None:
    check_shape(options, parser)
    if options.model and options.positions is not None:
        parser.error("--positions is for random weights (--tokenizer)")
    resuming = _check_output(options, parser)
    context = open_context(options)
    start = None if resuming else _start(options, context)
    tokenizer = _tokenizer(options, start, context)
    how = dict(max_tokens=options.max_tokens, rows=options.rows, bad_lines=options.bad_lines)
    text = Corpus.read(options.text, tokenizer, **how)
    held_out = Corpus.read(options.dev, tokenizer, **how) if options.dev else None
    _run(options, start, text, held_out, context, rate=None if options.model else 1e-3)


def _add_tapt(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", nargs="+", metavar="DATA", help="sentences of the task: train, or train and test; labels do not count")
    add("--dev", metavar="DATA", help="sentences to measure the perplexity on")
    add("--model", required=True, metavar="FOLDER", help="the weights to go on with")
    add_recipe(parser, "text, masks and training as the pretraining of a recipe has them")
    add_input_form(parser, "rows as a classifier sees them (default: the sentence alone)")
    add_data_options(parser)
    _add_run(parser, "5e-5")
    _add_masks(parser)


def _tapt(options, parser: argparse.ArgumentParser) -> None:
    resuming = _check_output(options, parser)
    context = open_context(options)
    start = None if resuming else _start(options, context)
    tokenizer = _tokenizer(options, start, context)
    how = corpus_options(options, dict(max_tokens=options.max_tokens, input_form=options.input_form))
    text = Corpus.from_datasets(
        [read_data(path, "custom", options, context) for path in options.data], tokenizer, **how
    )
    held_out = None
    if options.dev:
        held_out = Corpus.from_datasets(read_data(options.dev, "custom", options, context), tokenizer, **how)
    _run(options, start, text, held_out, context, rate=None)


def _check_output(options, parser: argparse.ArgumentParser) -> bool:
    """Whether there is something to go on from."""
    last = Path(options.output) / "checkpoint-last"
    if last.exists() and not options.resume:
        parser.error(f"{last} exists: add --resume to go on from it, or choose another folder")
    return options.resume and last.is_dir()


def _start(options, context: Context) -> Model:
    if options.model:
        return Model.open(model_folder(options.model), task="masked_lm", seed=options.seed, context=context)
    return Model.create(
        Tokenizer(options.tokenizer, context=context),
        task="masked_lm",
        **shape_of(options),
        max_positions=options.positions,
        seed=options.seed,
        context=context,
    )


def _tokenizer(options, start: Optional[Model], context: Context) -> Tokenizer:
    if start is not None:
        return start.tokenizer
    with Model.open(Path(options.output) / "checkpoint-last", task="masked_lm", context=context) as stopped:
        return stopped.tokenizer


def _run(
    options, start: Optional[Model], text: Corpus, held_out: Optional[Corpus], context: Context, rate: Optional[float]
) -> None:
    output = Path(options.output)
    if start is None:
        trainer = MaskedLMTrainer.resume(output, text, held_out, context=context)
        print(f"kluere: going on from {output / 'checkpoint-last'}", file=sys.stderr)
    else:
        output.mkdir(parents=True, exist_ok=True)
        given = dict(
            whole_words=options.whole_words,
            mask_probability=options.mask_probability,
            epochs=options.epochs,
            max_steps=options.max_steps,
            learning_rate=rate if options.lr is None else options.lr,
            batch_sentences=options.batch_size,
            batch_tokens=options.batch_tokens,
            accumulation=options.accumulation,
            weight_decay=options.weight_decay,
            schedule=options.schedule,
            warmup_ratio=options.warmup_ratio,
            warmup_steps=options.warmup_steps,
            hidden_dropout=options.dropout,
            attention_dropout=options.dropout,
            seed=options.seed,
            evaluate_every=options.evaluate_every,
            checkpoint_every=options.checkpoint_every,
            output_directory=options.output,
            precision=precision_of(options),
            **training_extras(options),
        )
        trainer = MaskedLMTrainer(start, text, held_out, **pretraining_options(options, given))
        print(f"kluere: {start!r}, {text!r}, {context.threads} threads", file=sys.stderr)
    begun = time.monotonic()
    trainer.run(TrainingLog(output), progress=not options.quiet)
    seconds = time.monotonic() - begun
    trained = trainer.export_model()
    trained.save(output / "model")
    (output / CURVE_NAME).write_text(loss_curve(read_log(output)), encoding="utf-8")
    if held_out is not None:
        print(trainer.evaluate(held_out))
    print(f"trained in {seconds:.1f} s; model: {output / 'model'}; curve: {output / CURVE_NAME}")


def loss_curve(log) -> str:
    """The losses of a training log (read_log) over the updates, as an SVG that stands alone."""

    def line(kind: str) -> Tuple:
        return tuple((entry["step"], entry["loss"]) for entry in log if entry.get("kind") == kind)

    series = [("training", line("training"))]
    if line("evaluation"):
        series.append(("evaluation", line("evaluation")))
    return charts.alone(
        charts.curves(series, "masked-LM loss", x_name="updates", y_name="loss", width=760, dots=False),
        [name for name, _ in series],
    )


PRETRAIN_COMMANDS = (
    ("pretrain", _add_pretrain, _pretrain, "pretrain a masked-LM on text, from random weights or a model"),
    ("tapt", _add_tapt, _tapt, "go on with pretraining on the task's own sentences"),
)
