"""KLUE's metrics: micro-F1 without no_relation, AUPRC over all classes, per-class table, confusion matrix."""

from __future__ import annotations

import ctypes
import dataclasses
import math
from typing import Callable, List, Optional, Sequence, Tuple

from . import _abi
from ._arrays import block, choice, flat, rows_of
from ._library import assign, check, initialized, library, sized
from .dataset import Dataset
from .model import Model

_FIGURES = ("micro_f1", "micro_precision", "micro_recall", "auprc", "accuracy", "loss")


@dataclasses.dataclass(frozen=True)
class ClassMetrics:
    """Figures of one class, as fractions of 1. support: its rows; predicted: rows predicted as it."""

    label: Optional[str]
    precision: float
    recall: float
    f1: float
    auprc: float  # NaN where the class has no row and missing_class is "skip" or "nan"
    support: int
    predicted: int
    correct: int


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Figures of one evaluation, as fractions of 1; loss is the mean cross-entropy in nats."""

    rows: int
    micro_f1: float
    micro_precision: float
    micro_recall: float
    auprc: float
    accuracy: float
    loss: float
    missing_classes: int
    per_class: List[ClassMetrics] = dataclasses.field(default_factory=list, repr=False)
    confusion: Optional[object] = dataclasses.field(default=None, repr=False, compare=False)  # [true][predicted]

    def as_dict(self, per_class: bool = False) -> dict:
        """For JSON; NaN becomes None."""
        result = {"rows": self.rows, "missing_classes": self.missing_classes}
        result.update((name, _json_number(getattr(self, name))) for name in _FIGURES)
        if per_class:
            result["per_class"] = [
                {name: _json_number(value) for name, value in dataclasses.asdict(row).items()}
                for row in self.per_class
            ]
        return result

    def table(self) -> str:
        """The classes as lines of text, with percentages."""
        width = max([len(row.label or str(i)) for i, row in enumerate(self.per_class)] + [5])
        lines = [f"{'label':{width}}  precision  recall      F1   AUPRC    rows"]
        for i, row in enumerate(self.per_class):
            figures = (row.precision, row.recall, row.f1, row.auprc)
            lines.append(
                f"{row.label or i!s:{width}}  {_percent(figures[0]):>9}  {_percent(figures[1]):>6}  "
                f"{_percent(figures[2]):>6}  {_percent(figures[3]):>6}  {row.support:>6}"
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"micro-F1 {_percent(self.micro_f1)}  AUPRC {_percent(self.auprc)}  on {self.rows} sentences"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def _json_number(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_c(metrics) -> Metrics:
    """The Metrics of a kluere_metrics."""
    return Metrics(
        rows=metrics.rows,
        missing_classes=metrics.missing_classes,
        **{name: getattr(metrics, name) for name in _FIGURES},
    )


class Judged:
    """Scores (rows x classes) and labels (rows) in C's memory. arguments: scores, labels, rows, classes."""

    def __init__(self, scores, labels) -> None:
        self._scores, self.scores, shape = flat(scores, "f")
        self._labels, self.labels, label_shape = flat(labels, "i")
        if len(shape) != 2 or len(label_shape) != 1 or shape[0] != label_shape[0]:
            raise ValueError(
                f"scores have shape {shape} and labels {label_shape}, expected (rows, classes) and (rows,)"
            )
        self.rows, self.classes = shape

    @property
    def arguments(self):
        return self.scores, self.labels, self.rows, self.classes


def metrics_options(no_relation: Optional[int], missing_class: str, scores_are: str):
    """A kluere_metrics_options of the names that compute_metrics takes."""
    options = initialized(_abi.kluere_metrics_options, "kluere_metrics_options_init")
    assign(
        options,
        no_relation=-1 if no_relation is None else no_relation,
        missing_class=choice("missing_class", missing_class, "KLUERE_MISSING_CLASS_"),
        score_space=choice("scores_are", scores_are, "KLUERE_OUTPUT_"),
    )
    return options


def compute_metrics(
    scores,
    labels,
    *,
    label_names: Optional[Sequence[str]] = None,
    no_relation: Optional[int] = 0,
    missing_class: str = "skip",
    scores_are: str = "probabilities",
) -> Metrics:
    """Metrics of scores (rows x classes) against labels (rows; 0 <= label < classes).

    label_names    names for the per-class table
    no_relation    index of the label left out of micro-F1; None: none is
    missing_class  AUPRC of classes without a row: "skip" leaves them out, "half" counts 0.5 (scikit-learn >= 1.1),
                   "nan" makes the mean NaN
    scores_are     "probabilities" (used as they are) or "logits" (softmax first)
    """
    judged = Judged(scores, labels)
    rows, classes = judged.rows, judged.classes
    if label_names is not None and len(label_names) != classes:
        raise ValueError(f"{len(label_names)} label names for {classes} classes")
    options = metrics_options(no_relation, missing_class, scores_are)
    out = sized(_abi.kluere_metrics)
    per_class = (_abi.kluere_class_metrics * classes)()
    confusion, confusion_pointer = block("Q", classes * classes)
    check(
        library().kluere_metrics_compute(
            *judged.arguments,
            ctypes.byref(options),
            ctypes.byref(out),
            per_class,
            confusion_pointer,
        )
    )
    fields = [field.name for field in dataclasses.fields(ClassMetrics) if field.name != "label"]
    return dataclasses.replace(
        from_c(out),
        per_class=[
            ClassMetrics(label=label_names[i] if label_names else None, **{f: getattr(row, f) for f in fields})
            for i, row in enumerate(per_class)
        ],
        confusion=rows_of(confusion, classes, classes),
    )


def score(
    model: Model,
    dataset: Dataset,
    *,
    precision: str = "float32",
    progress: Optional[Callable[[int, int], None]] = None,
) -> Tuple[object, List[int], Dataset]:
    """(probabilities, label indices, rows) of the rows whose label is known; ValueError if none is.

    Both are in the model's label order: what compute_metrics, bootstrap, calibration and the others take.
    """
    labels = [int(label) for label in model.label_indices(dataset)]
    known = [i for i, label in enumerate(labels) if label >= 0]
    if not known:
        raise ValueError("no row of the dataset has a label")
    if len(known) < len(labels):
        dataset = dataset.subset(known)
    return model.predict(dataset, precision=precision, progress=progress), [labels[i] for i in known], dataset


def no_relation_of(labels: Sequence[str]) -> Optional[int]:
    """The label that micro-F1 leaves out, if these labels have it."""
    return labels.index("no_relation") if "no_relation" in labels else None


def evaluate(
    model: Model,
    dataset: Dataset,
    *,
    missing_class: str = "skip",
    precision: str = "float32",
    progress: Optional[Callable[[int, int], None]] = None,
) -> Metrics:
    """The model's metrics on a dataset, per-class table and confusion matrix included.

    Rows whose label is hidden are left out; ValueError if all are. precision: as Predictor's. progress(done, total) is
    called now and then.
    """
    scores, labels, _ = score(model, dataset, precision=precision, progress=progress)
    names = model.labels
    return compute_metrics(
        scores, labels, label_names=names, no_relation=no_relation_of(names), missing_class=missing_class
    )
