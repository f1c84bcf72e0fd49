"""The loss of a training run, and probabilities of a teacher read from a file."""

from __future__ import annotations

import ctypes
import dataclasses
import os
from typing import Mapping, Optional, Sequence, Union

from . import _abi
from ._arrays import choice, choices, flat, numpy
from ._library import assign, initialized
from .dataset import Dataset
from .ensemble import read_submission

PerLabel = Union[Mapping[str, float], Sequence[float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Loss:
    """What Trainer(loss=...) minimises; formulas and papers in kluere.h, kluere_loss_options, and in docs/losses.md.

    An option of None takes the library's default. What contradicts something else is refused with both names.

    kind                "cross_entropy", "focal" or "ldam"
    class_weights       a rule, "inverse", "sqrt" or "effective", or numbers: one a label in the model's order, or a
                        mapping {label: weight} (labels that are not named: 1)
    class_weight_scale  of a rule: "mean_classes" (their mean over the labels is 1), "mean_rows" (over the rows), "as_is"
    effective_beta      of the rule "effective" (0.9999)
    weights_from        class weights begin after this share of the updates (0)
    weighted_mean       divide by the sum of the sentences' weights, as torch's CrossEntropyLoss(weight) does
    label_smoothing     0 to 1 (0)
    smoothing_mode      "all": e/C for every class, as torch has it; "others": e/(C - 1) for the other classes
    gamma               of focal loss (2)
    alpha               of focal loss: a number (1), or one a label as for class_weights
    detach_pt           no gradient through (1 - p)^gamma
    ldam_margin         the rarest label's margin (0.5)
    ldam_scale          of the logits (30)
    r_drop              alpha of R-Drop: each sentence is in the batch twice (0)
    soft_targets        a teacher's probabilities: training rows x labels in the model's order (read_probabilities)
    temperature         of the distillation (1)
    distill_share       its part of the whole (0.5)
    """

    kind: str = "cross_entropy"
    class_weights: Union[None, str, PerLabel] = None
    class_weight_scale: Optional[str] = None
    effective_beta: Optional[float] = None
    weights_from: Optional[float] = None
    weighted_mean: Optional[bool] = None
    label_smoothing: Optional[float] = None
    smoothing_mode: Optional[str] = None
    gamma: Optional[float] = None
    alpha: Union[None, float, PerLabel] = None
    detach_pt: Optional[bool] = None
    ldam_margin: Optional[float] = None
    ldam_scale: Optional[float] = None
    r_drop: Optional[float] = None
    soft_targets: object = None
    temperature: Optional[float] = None
    distill_share: Optional[float] = None

    def _c(self, labels: Sequence[str]):
        """(kluere_loss_options, what must live as long as it is used)."""
        options = initialized(_abi.kluere_loss_options, "kluere_loss_options_init")
        alive = []
        rule, weights = None, self.class_weights
        if isinstance(weights, str):
            rule, weights = choice("class_weights", weights, "KLUERE_CLASS_WEIGHTS_"), None
        alpha, alphas = self.alpha, None
        if alpha is not None and (hasattr(alpha, "__len__") or isinstance(alpha, Mapping)):
            alpha, alphas = None, alpha
        assign(
            options,
            kind=choice("kind", self.kind, "KLUERE_LOSS_"),
            class_weight_rule=rule,
            class_weight_scale=_named("class_weight_scale", self.class_weight_scale, "KLUERE_WEIGHT_SCALE_"),
            effective_beta=self.effective_beta,
            weights_from=self.weights_from,
            weighted_mean=_truth(self.weighted_mean),
            smoothing_mode=_named("smoothing_mode", self.smoothing_mode, "KLUERE_SMOOTHING_"),
            label_smoothing=self.label_smoothing,
            focal_gamma=self.gamma,
            focal_alpha=alpha,
            detach_pt=_truth(self.detach_pt),
            ldam_margin=self.ldam_margin,
            ldam_scale=self.ldam_scale,
            r_drop=self.r_drop,
            temperature=self.temperature,
            distill_share=self.distill_share,
        )
        for field, length, values in (
            ("class_weights", "class_weight_count", _per_label("class_weights", weights, labels)),
            ("focal_alphas", "focal_alpha_count", _per_label("alpha", alphas, labels)),
            ("soft_targets", "soft_target_count", self.soft_targets),
        ):
            if values is None:
                continue
            container, pointer, _ = flat(values, "f")
            alive.append((container, pointer))
            setattr(options, field, ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)))
            setattr(options, length, len(pointer))
        return options, alive


def _truth(value: Optional[bool]) -> Optional[int]:
    return None if value is None else int(value)


def _named(what: str, value: Optional[str], prefix: str) -> Optional[int]:
    return None if value is None else choice(what, value, prefix)


def _per_label(what: str, values: Optional[PerLabel], labels: Sequence[str]):
    if not isinstance(values, Mapping):
        return values
    unknown = [label for label in values if label not in labels]
    if unknown:
        raise ValueError(f"{what}: {unknown[0]!r} is none of the model's {len(labels)} labels")
    return [values.get(label, 1.0) for label in labels]


def loss_names() -> list:
    """The names that Loss.kind takes."""
    return list(choices("KLUERE_LOSS_"))


def read_probabilities(path, dataset: Dataset, labels: Optional[Sequence[str]] = None):
    """A table of probabilities for the rows of `dataset`, from the file of another model: rows x labels.

    path    the competition's submission (id,pred_label,probs; rows are found by id), or a .npy file with one row for
            each of the dataset's, in its order, and its columns in the order of the dataset's labels
    labels  the order of the columns of the result, a model's labels, say; None: the dataset's
    """
    own = dataset.labels
    if os.fspath(path).endswith(".npy"):
        if numpy() is None:
            raise ImportError("a .npy file needs NumPy")
        table = numpy().load(path, allow_pickle=False)
        if table.shape != (len(dataset), len(own)):
            raise ValueError(f"{path}: shape {table.shape}, expected ({len(dataset)}, {len(own)})")
        table = table.astype("float32")
    else:
        table, _ = read_submission(path, dataset)
    if labels is None or list(labels) == own:
        return table
    if sorted(labels) != sorted(own):
        raise ValueError(f"labels: {len(list(labels))} labels that are not the dataset's {len(own)} in another order")
    order = [own.index(label) for label in labels]
    if numpy() is not None:
        return table[:, order]
    return [type(row)(row.typecode, [row[column] for column in order]) for row in table]
