"""How sure a figure is and what a probability is worth: groups, bootstrap, paired tests, calibration, coverage.

The conventions no_relation, missing_class and scores_are are those of compute_metrics.
"""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Dict, List, Optional, Sequence, Tuple

from . import _abi
from ._arrays import block, choice, flat, rows_of
from ._library import assign, check, initialized, library, sized
from .dataset import Dataset
from .metrics import Judged, Metrics, from_c, metrics_options


@dataclasses.dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap interval. samples: the figures of the resamples, if asked for."""

    value: float
    low: float
    high: float
    standard_error: float
    samples: Optional[object] = dataclasses.field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{100 * self.value:.2f} [{100 * self.low:.2f}, {100 * self.high:.2f}]"


@dataclasses.dataclass(frozen=True)
class SystemComparison:
    """Two systems on the same rows; difference = first - second, with the bootstrap interval of the difference.

    p_bootstrap, p_randomization   two-sided, against "both are equally good"
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomization: float
    samples: Optional[object] = dataclasses.field(default=None, repr=False, compare=False)


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """Of (low, high], the first with its low end; NaN means without rows."""

    low: float
    high: float
    confidence: float
    accuracy: float
    rows: int


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Expected (ece) and largest (mce) gap between confidence and accuracy, Brier score, and the curve's bins."""

    rows: int
    ece: float
    mce: float
    brier: float
    confidence: float
    accuracy: float
    bins: List[CalibrationBin] = dataclasses.field(default_factory=list, repr=False)


@dataclasses.dataclass(frozen=True)
class CoveragePoint:
    """The rows with at least `threshold` of confidence: their share, their error rate, their micro-F1."""

    coverage: float
    threshold: float
    risk: float
    micro_f1: float


@dataclasses.dataclass(frozen=True)
class Coverage:
    """The coverage-risk curve; aurc is the area under it, excess_aurc what of it a perfect ranking would not have."""

    aurc: float
    excess_aurc: float
    risk: float
    points: List[CoveragePoint] = dataclasses.field(default_factory=list, repr=False)


def type_pairs(dataset: Dataset) -> Tuple[List[int], List[str]]:
    """(a group for each row, the groups' names): subject and object type as "PER-ORG", in order of the names."""
    pairs = [f"{row.subject.type or '?'}-{row.object.type or '?'}" for row in dataset]
    names = sorted(set(pairs))
    numbers = {name: number for number, name in enumerate(names)}
    return [numbers[pair] for pair in pairs], names


def compute_metrics_by_group(
    scores,
    labels,
    groups: Sequence[int],
    names: Optional[Sequence[str]] = None,
    *,
    no_relation: Optional[int] = 0,
    missing_class: str = "skip",
    scores_are: str = "probabilities",
) -> Dict[object, Metrics]:
    """The metrics of each group of rows, by name (or number). groups: a number from 0 for each row, -1 for none.

    Groups without rows are left out. compute_metrics_by_group(scores, labels, *type_pairs(dataset)) for entity types.
    """
    judged = Judged(scores, labels)
    group_block, group_pointer, shape = flat(groups, "i")
    if shape != (judged.rows,):
        raise ValueError(f"groups have shape {shape}, expected ({judged.rows},)")
    count = len(names) if names is not None else max([int(group) for group in group_block] + [0]) + 1
    options = metrics_options(no_relation, missing_class, scores_are)
    out = (_abi.kluere_metrics * count)()
    check(
        library().kluere_metrics_by_group(
            judged.scores,
            judged.labels,
            group_pointer,
            judged.rows,
            judged.classes,
            count,
            ctypes.byref(options),
            out,
            ctypes.sizeof(_abi.kluere_metrics),
        )
    )
    return {names[i] if names is not None else i: from_c(row) for i, row in enumerate(out) if row.rows > 0}


def _resampling(resamples: Optional[int], seed: Optional[int], confidence: Optional[float]):
    options = initialized(_abi.kluere_resampling_options, "kluere_resampling_options_init")
    assign(options, resamples=resamples, seed=seed, confidence=confidence)
    return options


def _metric_numbers(metrics: Sequence[str]):
    if isinstance(metrics, str):
        raise TypeError("metrics: expected a sequence of names, found str")
    numbers = [choice("metric", name, "KLUERE_METRIC_") for name in metrics]
    return (ctypes.c_int32 * len(numbers))(*numbers)


def bootstrap(
    scores,
    labels,
    metrics: Sequence[str] = ("micro_f1", "auprc", "accuracy"),
    *,
    resamples: Optional[int] = None,
    seed: Optional[int] = None,
    confidence: Optional[float] = None,
    no_relation: Optional[int] = 0,
    missing_class: str = "skip",
    scores_are: str = "probabilities",
    samples: bool = False,
) -> Dict[str, Interval]:
    """Percentile bootstrap intervals, by metric: rows are drawn with replacement and the figure is computed again.

    metrics      of "micro_f1", "auprc", "loss", "accuracy", "micro_precision", "micro_recall"
    resamples    1000; confidence 0.95; the same seed (42) gives the same numbers
    samples      True keeps each resample's figure in Interval.samples
    """
    judged = Judged(scores, labels)
    options = metrics_options(no_relation, missing_class, scores_are)
    resampling = _resampling(resamples, seed, confidence)
    numbers = _metric_numbers(metrics)
    out = (_abi.kluere_interval * len(numbers))()
    table, pointer = block("d", len(numbers) * resampling.resamples) if samples else (None, None)
    check(
        library().kluere_metrics_bootstrap(
            *judged.arguments, ctypes.byref(options), ctypes.byref(resampling), numbers, len(numbers), out, pointer
        )
    )
    kept = rows_of(table, len(numbers), resampling.resamples) if samples else [None] * len(numbers)
    return {
        name: Interval(row.value, row.low, row.high, row.standard_error, kept[i])
        for i, (name, row) in enumerate(zip(metrics, out))
    }


def compare(
    first,
    second,
    labels,
    metrics: Sequence[str] = ("micro_f1", "auprc", "accuracy"),
    *,
    resamples: Optional[int] = None,
    seed: Optional[int] = None,
    confidence: Optional[float] = None,
    no_relation: Optional[int] = 0,
    missing_class: str = "skip",
    scores_are: str = "probabilities",
    samples: bool = False,
) -> Dict[str, SystemComparison]:
    """Whether two systems' scores for the same rows differ by more than chance: paired bootstrap and approximate
    randomization. Arguments as in bootstrap()."""
    judged, other = Judged(first, labels), Judged(second, labels)
    if other.classes != judged.classes:
        raise ValueError(f"the systems have {judged.classes} and {other.classes} classes")
    options = metrics_options(no_relation, missing_class, scores_are)
    resampling = _resampling(resamples, seed, confidence)
    numbers = _metric_numbers(metrics)
    out = (_abi.kluere_comparison * len(numbers))()
    table, pointer = block("d", len(numbers) * resampling.resamples) if samples else (None, None)
    check(
        library().kluere_metrics_compare(
            judged.scores,
            other.scores,
            judged.labels,
            judged.rows,
            judged.classes,
            ctypes.byref(options),
            ctypes.byref(resampling),
            numbers,
            len(numbers),
            out,
            pointer,
        )
    )
    kept = rows_of(table, len(numbers), resampling.resamples) if samples else [None] * len(numbers)
    fields = [field.name for field in dataclasses.fields(SystemComparison) if field.name != "samples"]
    return {
        name: SystemComparison(**{field: getattr(row, field) for field in fields}, samples=kept[i])
        for i, (name, row) in enumerate(zip(metrics, out))
    }


def calibration(
    scores,
    labels,
    *,
    bins: int = 15,
    binning: str = "width",
    label: Optional[int] = None,
    scores_are: str = "probabilities",
) -> Calibration:
    """The calibration curve. binning: "width" or "mass" (equally many rows); label: None for the predicted one."""
    judged = Judged(scores, labels)
    options = metrics_options(None, "skip", scores_are)
    given = initialized(_abi.kluere_calibration_options, "kluere_calibration_options_init")
    assign(given, bins=bins, binning=choice("binning", binning, "KLUERE_BINS_"), label=-1 if label is None else label)
    out = sized(_abi.kluere_calibration)
    table = (_abi.kluere_calibration_bin * min(given.bins, 10_000))()
    check(
        library().kluere_metrics_calibration(
            *judged.arguments, ctypes.byref(options), ctypes.byref(given), ctypes.byref(out), table, len(table)
        )
    )
    return Calibration(
        rows=out.rows,
        ece=out.ece,
        mce=out.mce,
        brier=out.brier,
        confidence=out.confidence,
        accuracy=out.accuracy,
        bins=[CalibrationBin(row.low, row.high, row.confidence, row.accuracy, row.rows) for row in table],
    )


def coverage_risk(
    scores, labels, *, points: int = 20, no_relation: Optional[int] = 0, scores_are: str = "probabilities"
) -> Coverage:
    """What answering only where the model is sure would give: `points` points with coverages 1/points ... 1."""
    judged = Judged(scores, labels)
    options = metrics_options(no_relation, "skip", scores_are)
    if points < 1:
        raise ValueError(f"points is {points}, expected at least 1")
    out = sized(_abi.kluere_coverage)
    table = (_abi.kluere_coverage_point * points)()
    check(library().kluere_metrics_coverage(*judged.arguments, ctypes.byref(options), ctypes.byref(out), table, points))
    return Coverage(
        aurc=out.aurc,
        excess_aurc=out.excess_aurc,
        risk=out.risk,
        points=[CoveragePoint(row.coverage, row.threshold, row.risk, row.micro_f1) for row in table],
    )
