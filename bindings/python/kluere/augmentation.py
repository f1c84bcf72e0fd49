"""New rows from old ones: entities exchanged, words masked, inserted, removed, and sentences of others. Methods of
Dataset; Predictor.fill_in asks a masked-LM."""

from __future__ import annotations

import ctypes
import dataclasses
import json
from typing import Iterable, List, Optional, Sequence, Tuple, Union

from . import _abi
from ._arrays import choice, choices
from ._library import assign, c_string, check, initialized, library, utf8


@dataclasses.dataclass(frozen=True)
class RefusedParaphrase:
    """A sentence that was not taken: its place in the list, the row that it was made from, and why."""

    index: int
    row: int
    why: str


class Augmentation:
    """Mixed into Dataset."""

    def augment(
        self,
        kind: str,
        *,
        seed: Optional[int] = None,
        row_share: Optional[float] = None,
        word_share: Optional[float] = None,
        copies: Optional[int] = None,
        swap_map: Optional[Sequence[str]] = None,
        keep_originals: bool = True,
        mask: Optional[str] = None,
    ) -> "Augmentation":
        """A dataset with these rows and new ones behind them. The same seed gives the same rows.

        kind        "swap_roles", "swap_texts", "mask_words", "mask_subject", "mask_object", "insert_punctuation" (AEDA),
                    "delete_words", "swap_words"
        row_share   the chance of each row to be taken (default: 1)
        word_share  the share of words that is touched (default: one word for masks, a third for AEDA, else a tenth)
        copies      new rows of each row, for what depends on chance alone (default: 1)
        swap_map    relations that a swap knows: "symmetric", "inverse", "top_members_to_employee_of" (the default),
                    "employee_of_to_top_members", "no_relation"
        mask        default: "[MASK]"

        A new row's id is its source's with a mark behind it, its origin the source's id: splits keep the two together.
        """
        options = initialized(_abi.kluere_augment_options, "kluere_augment_options_init")
        assign(
            options,
            kind=choice("kind", kind, "KLUERE_AUGMENT_"),
            seed=seed,
            row_share=row_share,
            word_share=word_share,
            copies=copies,
            swap_map=None if swap_map is None else _swap_map(swap_map),
            keep_originals=1 if keep_originals else 0,
        )
        if mask is not None:
            options.mask = c_string(mask, "mask")
        pointer = ctypes.c_void_p()
        check(library().kluere_dataset_augment(self._handle, ctypes.byref(options), ctypes.byref(pointer)))
        return type(self)(pointer)

    def add_paraphrases(
        self, paraphrases: Iterable[Tuple[Union[int, str], str]], *, keep_originals: bool = True
    ) -> Tuple["Augmentation", List[RefusedParaphrase]]:
        """Takes in sentences that others made from rows: (row number or id, sentence) each.

        Taken are those in which both entities stand in a place that can be told; the others come back with the reason.
        """
        pairs = list(paraphrases)
        numbers = {}
        if any(isinstance(which, str) for which, _ in pairs):
            for number, row in enumerate(self):
                numbers.setdefault(row.id, number)
        rows = (ctypes.c_size_t * len(pairs))()
        texts = (ctypes.c_char_p * len(pairs))()
        lengths = (ctypes.c_size_t * len(pairs))()
        for i, (which, sentence) in enumerate(pairs):
            if isinstance(which, str) and which not in numbers:
                raise ValueError(f"no row has the id {which!r}")
            number = numbers[which] if isinstance(which, str) else int(which)
            if number < 0:
                raise IndexError("row numbers must not be negative")
            raw = utf8(sentence)
            rows[i], texts[i], lengths[i] = number, raw, len(raw)
        lib = library()
        out, report = ctypes.c_void_p(), ctypes.c_void_p()
        check(
            lib.kluere_dataset_add_paraphrases(
                self._handle,
                rows,
                texts,
                lengths,
                len(pairs),
                1 if keep_originals else 0,
                ctypes.byref(out),
                ctypes.byref(report),
            )
        )
        try:
            refused = json.loads(lib.kluere_text_get(report, None).decode("utf-8"))["refused"]
        finally:
            lib.kluere_text_destroy(report)
        return type(self)(out), [RefusedParaphrase(**entry) for entry in refused]


def _swap_map(names: Sequence[str]) -> int:
    known = choices("KLUERE_SWAP_")
    names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"swap_map has {unknown[0]!r}, expected some of " + ", ".join(map(repr, known)))
    return sum(known[name] for name in set(names))
