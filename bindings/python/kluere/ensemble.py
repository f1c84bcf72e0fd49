"""Several members' probabilities for the same rows: voting, ranking every combination, contributions, weights.

A member is a table of scores, rows x classes: of a model, of the mean of k folds, or of a file from anywhere.
"""

from __future__ import annotations

import ctypes
import dataclasses
from typing import List, Optional, Sequence, Tuple

from . import _abi
from ._arrays import block, choice, flat, rows_of
from ._library import assign, c_path, check, initialized, library, sized
from .dataset import Dataset

MEMBER_LIMIT = 16  # of rank(): 2^16 - 1 combinations


@dataclasses.dataclass(frozen=True)
class Subset:
    """A combination of members, by their numbers, and its figures."""

    members: Tuple[int, ...]
    micro_f1: float
    auprc: float
    accuracy: float
    loss: float


@dataclasses.dataclass(frozen=True)
class Contribution:
    """What one member is worth in the ranking's metric. leave_one_out and shapley: positive is good."""

    alone: float
    without: float
    leave_one_out: float
    shapley: float


@dataclasses.dataclass(frozen=True)
class Ranking:
    """All combinations, best first, and each member's contribution."""

    subsets: List[Subset]
    contributions: List[Contribution]

    def table(self, names: Optional[Sequence[str]] = None, top: Optional[int] = 20) -> str:
        """The best combinations as lines of text, with percentages."""
        width = len(str(len(self.subsets)))
        lines = [f"{'rank':>{max(width, 4)}}  micro-F1   AUPRC  members"]
        for rank, row in enumerate(self.subsets[:top], 1):
            members = ", ".join(names[i] if names else str(i) for i in row.members)
            lines.append(f"{rank:>{max(width, 4)}}  {100 * row.micro_f1:>8.2f}  {100 * row.auprc:>6.2f}  {members}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class FoundWeights:
    """Weights that suit some rows. held_out, not value, says what to expect on other rows."""

    weights: List[float]
    value: float  # on the rows they were found on
    held_out: float  # each fold judged with weights found on the others
    equal_weights: float  # of equal weights, on all rows
    fold_weights: List[List[float]] = dataclasses.field(default_factory=list, repr=False)


class _Members:
    """Tables in C's memory, all of one shape. arguments: pointers, count."""

    def __init__(self, members: Sequence) -> None:
        blocks = [flat(member, "f") for member in members]
        shapes = {shape for _, _, shape in blocks}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"members have the shapes {sorted(shapes)}, expected one (rows, classes) for all")
        self._keep = blocks
        self.rows, self.classes = next(iter(shapes))
        kind = ctypes.POINTER(ctypes.c_float)
        self.pointers = (kind * len(blocks))(*(ctypes.cast(pointer, kind) for _, pointer, _ in blocks))
        self.count = len(blocks)

    def weights(self, weights: Optional[Sequence[float]]):
        if weights is None:
            return None
        if len(weights) != self.count:
            raise ValueError(f"{len(weights)} weights for {self.count} members")
        return (ctypes.c_double * self.count)(*weights)


def _options(
    vote="soft", no_relation=0, missing_class="skip", scores_are="probabilities", metric="micro_f1", **numbers
):
    options = initialized(_abi.kluere_ensemble_options, "kluere_ensemble_options_init")
    assign(
        options,
        vote=choice("vote", vote, "KLUERE_VOTE_"),
        score_space=choice("scores_are", scores_are, "KLUERE_OUTPUT_"),
        no_relation=-1 if no_relation is None else no_relation,
        missing_class=choice("missing_class", missing_class, "KLUERE_MISSING_CLASS_"),
        metric=choice("metric", metric, "KLUERE_METRIC_"),
        **numbers,
    )
    return options


def combine(
    members: Sequence,
    weights: Optional[Sequence[float]] = None,
    *,
    vote: str = "soft",
    scores_are: str = "probabilities",
):
    """The members' decision, rows x classes.

    vote  "soft": the weighted mean of the probabilities; "hard": each class's share of the weighted votes. Of classes
          with equally many votes the one with the larger weighted sum of probabilities wins, then the first; it is
          lifted by one unit in the last place, so that argmax always finds the decision
    """
    given = _Members(members)
    options = _options(vote=vote, scores_are=scores_are)
    container, pointer = block("f", given.rows * given.classes)
    check(
        library().kluere_ensemble_combine(
            given.pointers,
            given.count,
            given.weights(weights),
            given.rows,
            given.classes,
            ctypes.byref(options),
            pointer,
            len(pointer),
        )
    )
    return rows_of(container, given.rows, given.classes)


def rank(
    members: Sequence,
    labels: Sequence[int],
    *,
    weights: Optional[Sequence[float]] = None,
    vote: str = "soft",
    metric: str = "micro_f1",
    no_relation: Optional[int] = 0,
    missing_class: str = "skip",
    scores_are: str = "probabilities",
) -> Ranking:
    """Every combination of up to 16 members against the labels, best by `metric` first, and what each member adds.

    metric   "micro_f1", "auprc", "accuracy" or "loss"
    Equal figures: fewer members first, then the lower numbers.
    """
    given = _Members(members)
    label_block, label_pointer, shape = flat(labels, "i")
    if shape != (given.rows,):
        raise ValueError(f"labels have shape {shape}, expected ({given.rows},)")
    options = _options(vote, no_relation, missing_class, scores_are, metric)
    size = 2 ** min(given.count, MEMBER_LIMIT) - 1
    table = (_abi.kluere_subset * size)()
    contributions = (_abi.kluere_contribution * given.count)()
    count = ctypes.c_size_t()
    check(
        library().kluere_ensemble_rank(
            given.pointers,
            given.count,
            given.weights(weights),
            label_pointer,
            given.rows,
            given.classes,
            ctypes.byref(options),
            table,
            size,
            contributions,
            ctypes.byref(count),
        )
    )
    return Ranking(
        [
            Subset(
                tuple(i for i in range(given.count) if row.members >> i & 1),
                row.micro_f1,
                row.auprc,
                row.accuracy,
                row.loss,
            )
            for row in table[: count.value]
        ],
        [Contribution(row.alone, row.without, row.leave_one_out, row.shapley) for row in contributions],
    )


def search_weights(
    members: Sequence,
    labels: Sequence[int],
    *,
    folds=5,
    metric: str = "micro_f1",
    rounds: Optional[int] = None,
    seed: Optional[int] = None,
    no_relation: Optional[int] = 0,
    missing_class: str = "skip",
    scores_are: str = "probabilities",
) -> FoundWeights:
    """Soft-voting weights by greedy selection with replacement, cross-validated.

    members   predictions for rows that no member was trained on (out-of-fold predictions, say) and that nothing is
              reported on afterwards
    folds     how many random folds, or the fold (from 0) of each row
    rounds    how often a member is added (50)
    """
    given = _Members(members)
    label_block, label_pointer, shape = flat(labels, "i")
    fold_pointer, fold_count = None, folds
    if not isinstance(folds, int):
        fold_block, fold_pointer, fold_shape = flat(folds, "i")
        if fold_shape != (given.rows,):
            raise ValueError(f"folds have shape {fold_shape}, expected ({given.rows},)")
        fold_count = max(int(fold) for fold in fold_block) + 1
    if shape != (given.rows,):
        raise ValueError(f"labels have shape {shape}, expected ({given.rows},)")
    options = _options(
        "soft", no_relation, missing_class, scores_are, metric, rounds=rounds, seed=seed, folds=fold_count
    )
    out = sized(_abi.kluere_weight_search)
    weights = (ctypes.c_double * given.count)()
    fold_weights = (ctypes.c_double * (given.count * max(0, min(fold_count, 1000))))()
    check(
        library().kluere_ensemble_search(
            given.pointers,
            given.count,
            label_pointer,
            fold_pointer,
            given.rows,
            given.classes,
            ctypes.byref(options),
            ctypes.byref(out),
            weights,
            fold_weights,
        )
    )
    return FoundWeights(
        weights=list(weights),
        value=out.value,
        held_out=out.held_out,
        equal_weights=out.equal_weights,
        fold_weights=[list(fold_weights[i * given.count : (i + 1) * given.count]) for i in range(fold_count)],
    )


def read_submission(path, dataset: Dataset):
    """(probabilities, predictions) of a competition submission for the rows of `dataset`, found by their ids.

    probabilities: rows x labels in the dataset's order of the 30 labels; predictions: label indices of pred_label,
    which need not be the most probable label.
    """
    labels = len(dataset.labels)
    container, pointer = block("f", len(dataset) * labels)
    predictions, prediction_pointer = block("i", len(dataset))
    check(library().kluere_submission_read(dataset._handle, c_path(path), pointer, len(pointer), prediction_pointer))
    return rows_of(container, len(dataset), labels), predictions


def write_submission(path, dataset: Dataset, probabilities) -> None:
    """Writes the competition's submission from probabilities in the dataset's label order, of an ensemble, say."""
    container, pointer, _ = flat(probabilities, "f")
    check(library().kluere_submission_write_table(dataset._handle, pointer, len(pointer), c_path(path)))


def rows_in(dataset: Dataset, other: Dataset) -> List[int]:
    """For each row of `dataset` the row of `other` with the same sentence and entities, under whatever id.

    The competition's test file holds KLUE's dev sentences in another order and with other ids: members read by its ids
    fit dev.json as table[rows_in(dev, test)]. ValueError names a row that is missing, or one that is there twice.
    """

    def key(row):
        return row.text, row.subject.begin, row.subject.end, row.object.begin, row.object.end

    places: dict = {}
    for number, row in enumerate(other):
        places.setdefault(key(row), []).append(number)
    found = []
    for number, row in enumerate(dataset):
        same = places.get(key(row), [])
        if len(same) != 1:
            raise ValueError(f"row {number} stands {len(same)} times in the other file, expected once")
        found.append(same[0])
    return found
