"""The loss on the command line: options of `train`, and the command `pseudo-label`."""

from __future__ import annotations

import argparse
import sys
from typing import Optional

from .cli_common import add_data_options, model_folder, open_context, precision_of, read_data
from .loss import Loss, loss_names, read_probabilities
from .model import Model


def add_loss_options(parser: argparse.ArgumentParser) -> None:
    loss = parser.add_argument_group("loss (docs/losses.md)")
    add = loss.add_argument
    add("--loss", choices=loss_names(), help="default: cross_entropy")
    add("--gamma", type=float, metavar="X", help="of focal loss (default: 2)")
    add("--alpha", type=float, metavar="X", help="a factor of focal loss (default: 1)")
    add("--detach-pt", action="store_true", default=None, help="focal loss: no gradient through (1 - p)^gamma")
    add("--ldam-margin", type=float, metavar="X", help="LDAM: of the rarest label (default: 0.5)")
    add("--ldam-scale", type=float, metavar="X", help="LDAM: of the logits (default: 30)")
    add("--class-weights", choices=["inverse", "sqrt", "effective"], help="from the labels' rows (default: none)")
    add("--class-weight-scale", choices=["mean_classes", "mean_rows", "as_is"], help="default: mean_classes")
    add("--effective-beta", type=float, metavar="X", help="of --class-weights effective (default: 0.9999)")
    add("--weights-from", type=float, metavar="X", help="class weights begin after this share of the updates (0)")
    add("--weighted-mean", action="store_true", default=None, help="divide by the sentences' weights, as torch does")
    add("--label-smoothing", type=float, metavar="X", help="default: 0")
    add("--smoothing-mode", choices=["all", "others"], help="all classes as torch, or the others (default: all)")
    add("--r-drop", type=float, metavar="X", help="alpha of R-Drop: each sentence is computed twice (default: 0)")
    add("--distill", metavar="FILE", help="a teacher's probabilities for TRAIN: a submission file, or .npy")
    add("--temperature", type=float, metavar="X", help="of the distillation (default: 1)")
    add("--distill-share", type=float, metavar="X", help="its part of the loss (default: 0.5)")


_FIELDS = (
    "gamma alpha detach_pt ldam_margin ldam_scale class_weights class_weight_scale effective_beta weights_from"
    " weighted_mean label_smoothing smoothing_mode r_drop temperature distill_share"
).split()


def loss_of(options, train, labels) -> Optional[Loss]:
    """What the options say; None: nothing. labels: the model's."""
    values = {name: getattr(options, name) for name in _FIELDS if getattr(options, name) is not None}
    if options.loss is None and options.distill is None and not values:
        return None
    if options.distill is not None:
        values["soft_targets"] = read_probabilities(options.distill, train, labels)
    return Loss(kind=options.loss or "cross_entropy", **values)


# ---- pseudo-label


def _add_pseudo_label(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help="sentences; the labels that they have are not looked at")
    add("-o", "--output", required=True, metavar="OUT", help="the sentences that are kept: .json, .jsonl or .csv")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--probabilities", metavar="FILE", help="a submission file, or .npy")
    which.add_argument("--model", metavar="FOLDER", help="a model, which is asked")
    add("--train", metavar="FILE", help="labelled sentences that stand before them in OUT")
    add("--min-confidence", type=float, metavar="X", help="of the most probable label (default: 0.9)")
    add("--max-per-label", type=int, metavar="N", help="the most confident sentences of each label, at most")
    add("--max-rows", type=int, metavar="N", help="the most confident sentences, at most")
    add("--shares-of", metavar="FILE", help="labels in the shares of this file's, of --max-rows at most")
    add("--labels", default="klue", choices=["klue", "competition"], help="label order (default: klue)")
    add_data_options(parser)


def _pseudo_label(options, parser: argparse.ArgumentParser) -> None:
    context = open_context(options)
    model = Model.open(model_folder(options.model), context=context) if options.model else None
    labels = model.labels if model is not None else options.labels
    data = read_data(options.data, labels, options, context)
    if model is not None:
        table = model.predict(data, precision=precision_of(options))
    else:
        table = read_probabilities(options.probabilities, data)
    shares = None
    if options.shares_of:
        counts = read_data(options.shares_of, data.labels, options, context).statistics().label
        shares = {label: count for label, count in counts.items() if label is not None}
    kept, rows = data.pseudo_label(
        table,
        min_confidence=options.min_confidence,
        max_per_label=options.max_per_label,
        max_rows=options.max_rows,
        label_shares=shares,
    )
    if options.train:
        read_data(options.train, data.labels, options, context).concat(kept).write(options.output)
    else:
        kept.write(options.output)
    print(f"kluere: {len(rows)} of {len(data)} sentences kept", file=sys.stderr)


LOSS_COMMANDS = (("pseudo-label", _add_pseudo_label, _pseudo_label, "sentences whose label a model is sure of"),)
