"""What entity types say about the relation: counts, the type mask and pair heads of a model, and all pairs of a sentence."""

from __future__ import annotations

import ctypes
import dataclasses
import json
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

from . import _abi
from ._arrays import block, choice, rows_of
from ._library import assign, check, initialized, library, text_result, utf8
from .example import EntityLike, c_entities

if TYPE_CHECKING:
    from .dataset import Dataset

Pair = Tuple[str, str]


@dataclasses.dataclass(frozen=True)
class TypeCounts:
    """How often each label stands with each pair of types (subject, object) in labelled rows."""

    labels: List[str]
    pairs: Dict[Pair, List[int]]  # one count for each label
    left_out: int  # rows without a label or without both types

    def allowed(self, pair: Pair, at_least: int = 1) -> List[str]:
        """The labels that the pair has at least this often, and no_relation; all labels for a pair that was never seen."""
        counts = self.pairs.get(pair)
        if counts is None:
            return list(self.labels)
        return [label for label, n in zip(self.labels, counts) if n >= at_least or label == "no_relation"]


def type_counts(dataset: Dataset) -> TypeCounts:
    """The counts of a dataset, in the order of its labels."""
    found = json.loads(text_result(library().kluere_dataset_type_counts, dataset._handle))
    return TypeCounts(found["labels"], _pairs(found["pairs"], "counts"), found["left_out"])


def _pairs(members: list, key: str) -> dict:
    return {(member["subject"], member["object"]): member[key] for member in members}


@dataclasses.dataclass(frozen=True)
class TypeMask:
    """A model's type mask: see kluere.h, "Entity types"."""

    counts: Dict[Pair, List[int]]
    smoothing: float
    strength: float
    hard_count: int
    in_training: bool


@dataclasses.dataclass(frozen=True)
class ModelTypes:
    """What a model knows of entity types; None: it has no such thing."""

    type_mask: Optional[TypeMask]
    pair_heads: Optional[Dict[Pair, List[str]]]  # the labels of each pair's block


def model_types(model) -> ModelTypes:
    found = json.loads(text_result(library().kluere_model_types, model._handle))
    mask, heads = found.get("type_mask"), found.get("pair_heads")
    labels = found["labels"]
    return ModelTypes(
        None
        if mask is None
        else TypeMask(
            _pairs(mask["pairs"], "counts"),
            mask["smoothing"],
            mask["strength"],
            mask["hard_count"],
            mask["in_training"],
        ),
        None
        if heads is None
        else {pair: [labels[i] for i in places] for pair, places in _pairs(heads["pairs"], "labels").items()},
    )


def with_type_mask(model, dataset: Optional[Dataset], settings: Dict[str, object]) -> ctypes.c_void_p:
    """A handle of the new model; without dataset and settings: without a mask."""
    options = initialized(_abi.kluere_type_mask_options, "kluere_type_mask_options_init")
    assign(options, **settings)
    out = ctypes.c_void_p()
    check(
        library().kluere_model_with_type_mask(
            model._handle,
            None if dataset is None else dataset._handle,
            ctypes.byref(options) if settings else None,
            ctypes.byref(out),
        )
    )
    return out


def with_pair_heads(model, dataset: Optional[Dataset], settings: Dict[str, object]) -> ctypes.c_void_p:
    options = initialized(_abi.kluere_pair_head_options, "kluere_pair_head_options_init")
    assign(options, **settings)
    out = ctypes.c_void_p()
    check(
        library().kluere_model_with_pair_heads(
            model._handle,
            None if dataset is None else dataset._handle,
            ctypes.byref(options) if settings else None,
            ctypes.byref(out),
        )
    )
    return out


def type_prior(model, subject_type: str, object_type: str):
    """float64, one for each label."""
    count = library().kluere_model_label_count(model._handle)
    container, pointer = block("d", count)
    subject, object = utf8(subject_type), utf8(object_type)
    check(
        library().kluere_model_type_prior(
            model._handle, subject, len(subject), object, len(object), pointer, count
        )
    )
    return container


# ---- all pairs of a sentence


@dataclasses.dataclass(frozen=True)
class PairRelation:
    """Two entities of a sentence by their numbers, and their likeliest relation."""

    subject: int
    object: int
    label: str
    probability: float
    pruned: bool  # answered no_relation by its types, not computed


def predict_pairs(
    predictor,
    labels: Sequence[str],
    text: str,
    entities: Sequence[EntityLike],
    *,
    prune: str,
    max_pairs: Optional[int],
    probabilities: bool,
):
    """(list of PairRelation, table of pairs x labels or None)."""
    options = initialized(_abi.kluere_pair_options, "kluere_pair_options_init")
    assign(options, prune=choice("prune", prune, "KLUERE_PRUNE_"), max_pairs=max_pairs)
    raw = utf8(text)
    c_array = c_entities(entities)
    capacity = len(entities) * max(0, len(entities) - 1)
    if capacity > options.max_pairs:
        capacity = 0  # refused with the library's words; no need for the room
    found = (_abi.kluere_pair_relation * max(capacity, 1))()
    count = ctypes.c_size_t()
    container, pointer = block("f", capacity * len(labels) if probabilities else 0)
    check(
        library().kluere_predictor_predict_pairs(
            predictor._handle,
            raw,
            len(raw),
            c_array,
            len(entities),
            _abi.KLUERE_OFFSETS_CODE_POINTS,
            ctypes.byref(options),
            found,
            capacity,
            ctypes.byref(count),
            pointer if probabilities else None,
            capacity * len(labels) if probabilities else 0,
        )
    )
    relations = [
        PairRelation(
            row.subject, row.object, labels[row.label], row.probability, row.status == _abi.KLUERE_PAIR_PRUNED
        )
        for row in found[: count.value]
    ]
    table = rows_of(container, capacity, len(labels))[: count.value] if probabilities else None
    return relations, table
