"""Rows by entity types and labels, to train the members of a pipeline on. Methods of Dataset."""

from __future__ import annotations

import ctypes
from typing import Optional, Sequence

from . import _abi
from ._library import assign, c_string, c_strings, check, initialized, library


class Selection:
    """Mixed into Dataset."""

    def select(
        self,
        *,
        subject_type: Optional[str] = None,
        object_type: Optional[str] = None,
        labels: Optional[Sequence[str]] = None,
        exclude_labels: Optional[Sequence[str]] = None,
        narrow_labels: bool = False,
    ) -> "Selection":
        """The rows with these types ("": none) and labels, or without exclude_labels, in their order; no row is refused.

        narrow_labels   the label set becomes no_relation, if there is one, and the labels that are left
        """
        if labels is not None and exclude_labels is not None:
            raise ValueError("labels and exclude_labels are both given, expected one of them")
        options = initialized(_abi.kluere_select_options, "kluere_select_options_init")
        assign(
            options,
            subject_type=None if subject_type is None else c_string(subject_type, "subject_type"),
            object_type=None if object_type is None else c_string(object_type, "object_type"),
            exclude_labels=1 if exclude_labels is not None else 0,
            narrow_labels=1 if narrow_labels else 0,
        )
        names = labels if labels is not None else exclude_labels
        if names is not None:
            options.labels, options.label_count = c_strings(names, "labels")
        pointer = ctypes.c_void_p()
        check(library().kluere_dataset_select(self._handle, ctypes.byref(options), ctypes.byref(pointer)))
        return type(self)(pointer)

    def binary(self) -> "Selection":
        """The same rows with two labels: "no_relation", and "relation" for every other."""
        pointer = ctypes.c_void_p()
        check(library().kluere_dataset_binary(self._handle, ctypes.byref(pointer)))
        return type(self)(pointer)
