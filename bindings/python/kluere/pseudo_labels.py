"""Rows whose label a model is sure of, and two datasets as one. Methods of Dataset."""

from __future__ import annotations

import ctypes
from typing import List, Mapping, Optional, Tuple

from . import _abi
from ._arrays import flat
from ._library import assign, check, initialized, library


class PseudoLabels:
    """Mixed into Dataset."""

    def pseudo_label(
        self,
        probabilities,
        *,
        min_confidence: Optional[float] = None,
        max_per_label: Optional[int] = None,
        max_rows: Optional[int] = None,
        label_shares: Optional[Mapping[str, float]] = None,
    ) -> Tuple["PseudoLabels", List[int]]:
        """(the rows whose most probable label is probable enough, with that label; their numbers in this dataset).

        probabilities   rows x labels in this dataset's label order: of a predictor, of an ensemble, of a file
        min_confidence  of the most probable label (0.9)
        max_per_label   the most confident rows of each label, at most so many
        max_rows        the most confident rows, at most so many
        label_shares    {label: share} of max_rows that each label gets at most; labels that are not named get none

        The labels that rows have are not looked at. Ids, sources and origins stay.
        """
        options = initialized(_abi.kluere_pseudo_label_options, "kluere_pseudo_label_options_init")
        assign(options, min_confidence=min_confidence, max_per_label=max_per_label, max_rows=max_rows)
        if label_shares is not None:
            names = self.labels
            unknown = [label for label in label_shares if label not in names]
            if unknown:
                raise ValueError(f"label_shares: {unknown[0]!r} is none of the {len(names)} labels")
            shares = (ctypes.c_double * len(names))(*(label_shares.get(label, 0.0) for label in names))
            options.label_shares, options.label_share_count = shares, len(names)
        container, table, _ = flat(probabilities, "f")
        rows = (ctypes.c_size_t * len(self))()
        count = ctypes.c_size_t()
        pointer = ctypes.c_void_p()
        check(
            library().kluere_dataset_pseudo_label(
                self._handle,
                table,
                len(table),
                ctypes.byref(options),
                ctypes.byref(pointer),
                rows,
                len(rows),
                ctypes.byref(count),
            )
        )
        return type(self)(pointer), list(rows[: count.value])

    def concat(self, other: "PseudoLabels") -> "PseudoLabels":
        """The rows of this dataset and then those of the other, whose labels must be among this one's. Also `a + b`."""
        pointer = ctypes.c_void_p()
        check(library().kluere_dataset_concat(self._handle, other._handle, ctypes.byref(pointer)))
        return type(self)(pointer)

    def __add__(self, other):
        return self.concat(other) if isinstance(other, PseudoLabels) else NotImplemented
