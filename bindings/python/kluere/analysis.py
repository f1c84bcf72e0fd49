"""What is in a dataset: statistics, two datasets side by side, and the audit. Methods of Dataset."""

from __future__ import annotations

import ctypes
import dataclasses
import json
from typing import Dict, List, Optional, Tuple

from . import _abi
from ._arrays import block, choice, choice_name
from ._library import assign, check, initialized, library, sized, text_result

Counts = Dict[Optional[str], int]  # value to rows; None: rows without a value
_COUNTS = ("label", "source", "subject_type", "object_type", "type_pair", "type_pair_without_no_relation")
_NONE = ctypes.c_size_t(-1).value


@dataclasses.dataclass(frozen=True)
class Lengths:
    """How long sentences are. standard_deviation is that of a sample; quantiles are interpolated as NumPy does."""

    minimum: int
    maximum: int
    mean: float
    standard_deviation: float
    quantiles: Dict[float, float]  # share of the rows to length
    rows_by_length: Dict[int, int]

    def __str__(self) -> str:
        quantiles = "  ".join(f"{100 * share:g} %: {length:g}" for share, length in self.quantiles.items())
        return f"{self.minimum} to {self.maximum}, mean {self.mean:.1f}; {quantiles}"


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Figures of a dataset. Labels stand in the dataset's order, zeros included; other values by falling count."""

    rows: int
    labelled: int
    sentences: int  # different ones
    label: Counts
    source: Counts
    subject_type: Counts
    object_type: Counts
    type_pair: Counts  # "PER-ORG"
    type_pair_without_no_relation: Counts
    label_types: Dict[Tuple[Optional[str], Optional[str], Optional[str]], int]  # (label, subject type, object type)
    characters: Lengths
    tokens: Optional[Lengths] = None

    def types_of(self, label: str) -> Dict[Tuple[Optional[str], Optional[str]], int]:
        """The (subject type, object type) pairs of one label, the most frequent first."""
        return {key[1:]: rows for key, rows in self.label_types.items() if key[0] == label}

    def as_dict(self) -> dict:
        """For JSON: tables as lists of [value, rows]."""
        result = {name: getattr(self, name) for name in ("rows", "labelled", "sentences")}
        for name in _COUNTS:
            result[name] = [list(item) for item in getattr(self, name).items()]
        result["label_types"] = [[*key, rows] for key, rows in self.label_types.items()]
        for name in ("characters", "tokens"):
            lengths = getattr(self, name)
            if lengths is not None:
                result[name] = dict(
                    dataclasses.asdict(lengths),
                    quantiles=[list(item) for item in lengths.quantiles.items()],
                    rows_by_length=[list(item) for item in lengths.rows_by_length.items()],
                )
        return result

    def __str__(self) -> str:
        lines = [f"{self.rows} rows, {self.labelled} with a label, {self.sentences} different sentences"]
        for name in _COUNTS:
            counts = getattr(self, name)
            lines += ["", name.replace("_", " ")]
            width = max([len(str(value)) for value in counts] + [1])
            total = sum(counts.values()) or 1
            lines += [f"  {value!s:{width}}  {rows:>7}  {100 * rows / total:5.1f} %" for value, rows in counts.items()]
        lines += ["", f"characters: {self.characters}"]
        if self.tokens is not None:
            lines.append(f"tokens: {self.tokens}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Leakage:
    """Rows that two datasets share. same_label, other_label and hidden_label count the second dataset's rows whose
    sentence and spans stand in the first."""

    sentences: int  # different ones that stand in both
    first_rows: int  # rows that have one of them
    second_rows: int
    same_label: int
    other_label: int
    hidden_label: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two datasets side by side. divergence: Jensen-Shannon, in bits: 0 alike, 1 nothing in common."""

    rows: Tuple[int, int]
    divergence: Dict[str, Optional[float]]
    leakage: Leakage

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.rows[0]} and {self.rows[1]} rows", "", "Jensen-Shannon divergence in bits"]
        lines += [
            f"  {name.replace('_', ' '):30}  {'-' if bits is None else format(bits, '.4f')}"
            for name, bits in self.divergence.items()
        ]
        lines += ["", "shared"]
        lines += [f"  {name.replace('_', ' '):30}  {rows}" for name, rows in dataclasses.asdict(self.leakage).items()]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something in a dataset that deserves a look. kind, severity and action are the names of kluere.h's constants in
    small letters: "duplicate", "error", "remove_row"."""

    kind: str
    severity: str
    action: str
    row: Optional[int]  # None: of a row that the reader left out
    other_row: Optional[int]  # the row it collides with; for leakage of the other dataset
    id: Optional[str]
    message: str


class Analysis:
    """Mixed into Dataset."""

    def statistics(self, tokenizer=None) -> Statistics:
        """Distributions of labels, sources, types and lengths; with a tokenizer lengths in tokens too."""
        found = json.loads(
            text_result(library().kluere_dataset_statistics, self._handle, tokenizer._handle if tokenizer else None)
        )
        return Statistics(
            **{name: found[name] for name in ("rows", "labelled", "sentences")},
            **{name: dict(found[name]) for name in _COUNTS},
            label_types={tuple(entry[:3]): entry[3] for entry in found["label_types"]},
            characters=_lengths(found["characters"]),
            tokens=_lengths(found["tokens"]) if "tokens" in found else None,
        )

    def type_counts(self):
        """How often each label stands with each pair of entity types: a kluere.TypeCounts."""
        from .entity_types import type_counts  # which imports Dataset

        return type_counts(self)

    def lengths(self, tokenizer=None):
        """Code points of every sentence, or its tokens, special tokens included. int32."""
        container, pointer = block("i", len(self))
        check(
            library().kluere_dataset_lengths(
                self._handle, tokenizer._handle if tokenizer else None, pointer, len(pointer)
            )
        )
        return container

    def compare(self, other, tokenizer=None) -> Comparison:
        """This dataset beside another: how far their distributions differ, and what rows they share."""
        found = json.loads(
            text_result(
                library().kluere_dataset_compare, self._handle, other._handle, tokenizer._handle if tokenizer else None
            )
        )
        return Comparison(tuple(found["rows"]), found["divergence"], Leakage(**found["leakage"]))

    def audit(
        self,
        other=None,
        *,
        tokenizer=None,
        rare_below: Optional[int] = None,
        input_form: Optional[str] = None,
        max_tokens: Optional[int] = None,
    ) -> List[Finding]:
        """Everything that is wrong or odd, in the order of the rows.

        other       a dataset that must share no sentence with this one
        tokenizer   also says where it does not know an entity, and which sentences a model crops
        rare_below  labels with a pair of types that fewer rows than these have are listed (default: 3)
        input_form, max_tokens  of the model to come (default: typed_marker_punct, 256)
        """
        options = initialized(_abi.kluere_audit_options, "kluere_audit_options_init")
        form = None if input_form is None else choice("input_form", input_form, "KLUERE_INPUT_")
        assign(options, rare_below=rare_below, input_form=form, max_tokens=max_tokens)
        lib = library()
        audit = ctypes.c_void_p()
        check(
            lib.kluere_audit_create(
                self._handle,
                other._handle if other is not None else None,
                tokenizer._handle if tokenizer is not None else None,
                ctypes.byref(options),
                ctypes.byref(audit),
            )
        )
        try:
            return [_finding(lib, audit, i) for i in range(lib.kluere_audit_count(audit))]
        finally:
            lib.kluere_audit_destroy(audit)


def _lengths(found: dict) -> Lengths:
    return Lengths(**dict(found, quantiles=dict(found["quantiles"]), rows_by_length=dict(found["rows_by_length"])))


def _finding(lib, audit, index: int) -> Finding:
    found = sized(_abi.kluere_finding)
    check(lib.kluere_audit_get(audit, index, ctypes.byref(found)))
    return Finding(
        kind=choice_name(found.kind, "KLUERE_FINDING_"),
        severity=choice_name(found.severity, "KLUERE_SEVERITY_"),
        action=choice_name(found.action, "KLUERE_ACTION_"),
        row=None if found.row == _NONE else found.row,
        other_row=None if found.other_row == _NONE else found.other_row,
        id=found.id.decode("utf-8") if found.id is not None else None,
        message=found.message.decode("utf-8"),
    )
