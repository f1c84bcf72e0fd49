"""Labelled sentences: reading, validating, splitting."""

from __future__ import annotations

import ctypes
import operator
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from . import _abi
from ._arrays import block, choice, choices, indices
from ._handle import Handle
from ._library import c_path, c_strings, check, initialized, library
from .analysis import Analysis
from .augmentation import Augmentation
from .cleaning import Cleaning
from .columns import Columns
from .context import Context, default_context
from .example import Example, c_examples, from_c
from .pseudo_labels import PseudoLabels
from .selection import Selection
from .splits import Splits

Labels = Union[str, Sequence[str]]


class Dataset(Analysis, Cleaning, Splits, Selection, Augmentation, PseudoLabels, Columns, Handle):
    """A fixed list of validated examples. Made by Dataset.read or Dataset.create; any number of threads may use it.

    len(dataset), dataset[i] (an Example), dataset[2:9] (a Dataset), iteration.
    """

    _destroy_name = "kluere_dataset_destroy"

    @classmethod
    def read(
        cls,
        path,
        *,
        format: str = "auto",
        labels: Labels = "klue",
        bad_rows: str = "stop",
        context: Optional[Context] = None,
    ) -> "Dataset":
        """Reads a file of KLUE JSON, the competition's CSV, JSON Lines, or the flat CSV of 13 columns.

        format    "auto" (by content), "klue_json", "competition_csv", "json_lines", "flat_csv"
        labels    "klue" or "competition": the 30 relations in the order of each; "custom": "no_relation" and then
                  in order of first appearance; or the labels themselves, in order
        bad_rows  "stop": the first bad row raises; "skip": it is left out and listed in `skipped`
        """
        options = _options(labels)
        options.format = choice("format", format, "KLUERE_FORMAT_")
        options.bad_rows = choice("bad_rows", bad_rows, "KLUERE_BAD_ROWS_")
        pointer = ctypes.c_void_p()
        handle = (context or default_context())._handle
        check(library().kluere_dataset_read(handle, c_path(path), ctypes.byref(options), ctypes.byref(pointer)))
        return cls(pointer)

    @classmethod
    def create(
        cls,
        examples: Iterable[Example],
        *,
        labels: Labels = "klue",
        bad_rows: str = "stop",
        context: Optional[Context] = None,
    ) -> "Dataset":
        """From Example objects; labels and bad_rows as in read()."""
        options = _options(labels)
        options.bad_rows = choice("bad_rows", bad_rows, "KLUERE_BAD_ROWS_")
        rows = c_examples(list(examples))
        pointer = ctypes.c_void_p()
        check(
            library().kluere_dataset_create(
                (context or default_context())._handle,
                rows,
                ctypes.sizeof(_abi.kluere_example),
                len(rows),
                _abi.KLUERE_OFFSETS_CODE_POINTS,
                ctypes.byref(options),
                ctypes.byref(pointer),
            )
        )
        return cls(pointer)

    def write(self, path, format: str = "auto") -> None:
        """Writes all rows as read() reads them; the file is replaced at once.

        format    "auto" (by the name: .json, .jsonl, .csv), "klue_json", "json_lines", "competition_csv", "flat_csv"
        """
        check(
            library().kluere_dataset_write(self._handle, c_path(path), choice("format", format, "KLUERE_FORMAT_"))
        )

    def __len__(self) -> int:
        return library().kluere_dataset_count(self._handle)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.subset(range(*index.indices(len(self))))
        index = operator.index(index)
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"row {index} of a dataset of {count}")
        row = _abi.kluere_example()
        check(
            library().kluere_dataset_get(
                self._handle,
                index % count,
                _abi.KLUERE_OFFSETS_CODE_POINTS,
                ctypes.byref(row),
                ctypes.sizeof(row),
            )
        )
        return from_c(row)

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    @property
    def labels(self) -> List[str]:
        """All labels, in this dataset's order."""
        lib, handle = library(), self._handle
        count = lib.kluere_dataset_label_count(handle)
        return [lib.kluere_dataset_label(handle, i).decode("utf-8") for i in range(count)]

    @property
    def label_indices(self):
        """The label of every row as an index into `labels`, -1 where hidden. int32."""
        container, pointer = block("i", len(self))
        check(library().kluere_dataset_label_indices(self._handle, pointer, len(pointer)))
        return container

    @property
    def skipped_count(self) -> int:
        """Rows that bad_rows="skip" left out."""
        return library().kluere_dataset_skipped_count(self._handle)

    @property
    def skipped(self) -> List[str]:
        """Why, for the first 1,000 of them: "train.json: row 17: ..."."""
        lib, handle = library(), self._handle
        reasons = []
        for i in range(lib.kluere_dataset_skipped_count(handle)):
            reason = lib.kluere_dataset_skipped_reason(handle, i)
            if reason is None:
                break
            reasons.append(reason.decode("utf-8"))
        return reasons

    def subset(self, rows: Iterable[int]) -> "Dataset":
        """The rows with these numbers, in that order; repeats allowed."""
        numbers, count = indices(rows)
        pointer = ctypes.c_void_p()
        check(library().kluere_dataset_subset(self._handle, numbers, count, ctypes.byref(pointer)))
        return Dataset(pointer)

    def split(self, second_fraction: float, seed: int = 42) -> Tuple["Dataset", "Dataset"]:
        """Random split by seed, about second_fraction (0 < f < 1) of the rows in the second part.

        Rows with equal sentences stay on one side; the order is kept on each.
        """
        first, second = ctypes.c_void_p(), ctypes.c_void_p()
        check(
            library().kluere_dataset_split(
                self._handle, second_fraction, seed, ctypes.byref(first), ctypes.byref(second)
            )
        )
        return Dataset(first), Dataset(second)

    def __repr__(self) -> str:
        if self.closed:
            return "<kluere.Dataset closed>"
        return f"<kluere.Dataset {len(self)} rows, {len(self.labels)} labels>"


def _options(labels: Labels):
    options = initialized(_abi.kluere_dataset_options, "kluere_dataset_options_init")
    if isinstance(labels, str):
        orders = choices("KLUERE_LABELS_")
        if labels not in orders:
            raise ValueError(f"labels is {labels!r}, expected a list of labels or one of " + ", ".join(orders))
        options.label_order = orders[labels]
    else:
        options.label_order = _abi.KLUERE_LABELS_CUSTOM
        options.labels, options.label_count = c_strings(labels, "labels")
    return options
