"""Duplicates, conflicts and entity types: rows removed and corrected, with a log that leads back. Methods of Dataset."""

from __future__ import annotations

import ctypes
import dataclasses
import json
from typing import Iterable, List, Optional, Sequence, Tuple, Union

from . import _abi
from ._arrays import choice
from ._library import assign, c_string, c_strings, check, initialized, library, utf8


@dataclasses.dataclass(frozen=True)
class TypeCorrection:
    """In rows of this label, the entity's type becomes `to` where it is `from_type` (None: whatever it is)."""

    label: str
    role: str  # "subject" or "object"
    from_type: Optional[str]
    to: str


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing that cleaning did to a row of the dataset before."""

    row: int
    step: str  # "list", "duplicates", "conflicts" or "types"
    what: str  # "removed", "subject_type" or "object_type"
    before: Union[dict, str, None]  # the whole row, or the type
    after: Optional[str]
    why: str
    id: Optional[str] = None


class CleaningLog:
    """What cleaning did. len(log), iteration over Change; log.json is its text for a file, CleaningLog(text) reads that.

    Dataset.restore(log) undoes the cleaning.
    """

    def __init__(self, text: str) -> None:
        self.json = text
        found = json.loads(text)
        self.rows_before: int = found["rows_before"]
        self.rows_after: int = found["rows_after"]
        self.changes: List[Change] = [
            Change(c["row"], c["step"], c["what"], c["from"], c["to"], c["why"], c.get("id")) for c in found["changes"]
        ]

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self):
        return iter(self.changes)

    def __repr__(self) -> str:
        return f"<kluere.CleaningLog {self.rows_before} to {self.rows_after} rows, {len(self)} changes>"


class Cleaning:
    """Mixed into Dataset."""

    def clean(
        self,
        *,
        duplicates: bool = True,
        conflicts: str = "leave",
        remove_ids: Iterable = (),
        types: Union[str, Sequence[TypeCorrection]] = "leave",
        majority_share: Optional[float] = None,
    ) -> Tuple["Cleaning", CleaningLog]:
        """A cleaned dataset, and the log of what was done and why.

        duplicates   rows equal in sentence, spans, types and label: the first stays
        conflicts    of rows with the same sentence and spans and several labels stay: "leave" all; "keep_first" the first
                     row's label; "majority" the one that most have; "prefer_relation" any but no_relation; "drop_all" none
        remove_ids   ids of rows to remove by hand; one that is not there is refused
        types        "leave"; "majority": to the type that majority_share (default: 0.9) of the label's rows have;
                     "competition_team": the map of the report's team; or TypeCorrection objects, the first that applies
        """
        options = initialized(_abi.kluere_clean_options, "kluere_clean_options_init")
        assign(
            options,
            remove_duplicates=1 if duplicates else 0,
            conflicts=choice("conflicts", conflicts, "KLUERE_CONFLICTS_"),
            majority_share=majority_share,
        )
        options.remove_ids, options.remove_id_count = c_strings([str(id) for id in remove_ids], "remove_ids")
        _set_types(options, types)
        cleaned, log = ctypes.c_void_p(), ctypes.c_void_p()
        lib = library()
        check(lib.kluere_dataset_clean(self._handle, ctypes.byref(options), ctypes.byref(cleaned), ctypes.byref(log)))
        try:
            return type(self)(cleaned), CleaningLog(lib.kluere_text_get(log, None).decode("utf-8"))
        finally:
            lib.kluere_text_destroy(log)

    def restore(self, log: Union[CleaningLog, str]):
        """The dataset as it was before the cleaning that left these rows and wrote the log."""
        text = utf8(log.json if isinstance(log, CleaningLog) else log)
        pointer = ctypes.c_void_p()
        check(library().kluere_dataset_restore(self._handle, text, len(text), ctypes.byref(pointer)))
        return type(self)(pointer)


def _set_types(options, types) -> None:
    if isinstance(types, str):
        if types not in ("leave", "majority", "competition_team"):
            raise ValueError(
                f"types is {types!r}, expected 'leave', 'majority', 'competition_team' or a list of TypeCorrection"
            )
        options.types = {
            "leave": _abi.KLUERE_TYPES_LEAVE,
            "majority": _abi.KLUERE_TYPES_MAJORITY,
            "competition_team": _abi.KLUERE_TYPES_LIST,
        }[types]
        return
    corrections = list(types)
    array = (_abi.kluere_type_correction * max(len(corrections), 1))()
    for entry, correction in zip(array, corrections):
        entry.label = c_string(correction.label, "label")
        setattr(entry, "from", None if correction.from_type is None else c_string(correction.from_type, "from_type"))
        entry.to = c_string(correction.to, "to")
        entry.role = choice("role", correction.role, "KLUERE_ROLE_")
    options.types = _abi.KLUERE_TYPES_LIST
    options.corrections = array
    options.correction_count = len(corrections)
