"""Parts of a dataset that are alike and share no sentence. Methods of Dataset."""

from __future__ import annotations

import ctypes
from typing import Iterator, Mapping, Optional, Sequence, Tuple

from . import _abi
from ._arrays import block
from ._library import assign, check, initialized, library


class Splits:
    """Mixed into Dataset."""

    def folds(self, count: int, *, stratify: Sequence[str] = ("label", "types"), seed: Optional[int] = None):
        """The fold of every row, 0 to count - 1. int32.

        Folds are of about equal size and alike in what stratify names: "label", "types" (labels together with both
        types). Rows with equal sentences, and a row and those made from it, share a fold.
        """
        options = _options(stratify, seed)
        container, pointer = block("i", len(self))
        if not 0 <= count < 2**32:
            raise ValueError(f"count is {count}, expected 2 to 100")
        check(library().kluere_dataset_folds(self._handle, count, ctypes.byref(options), pointer, len(pointer)))
        return container

    def cross_validation(
        self, count: int, *, stratify: Sequence[str] = ("label", "types"), seed: Optional[int] = None
    ) -> Iterator[Tuple["Splits", "Splits"]]:
        """(training, validation) datasets, one pair a fold."""
        folds = [int(fold) for fold in self.folds(count, stratify=stratify, seed=seed)]
        for number in range(count):
            inside = [row for row, fold in enumerate(folds) if fold == number]
            yield self.subset(row for row, fold in enumerate(folds) if fold != number), self.subset(inside)

    def split_stratified(
        self,
        second_fraction: float = 0.1,
        *,
        stratify: Sequence[str] = ("label", "types"),
        label_shares: Optional[Mapping[str, float]] = None,
        like: Optional["Splits"] = None,
        seed: Optional[int] = None,
    ) -> Tuple["Splits", "Splits"]:
        """Two parts that are alike, the second with about second_fraction (0 < f < 1) of the rows.

        label_shares  {label: share} that the second part shall have instead; labels that are not named get none
        like          the same, as the labels of another dataset are distributed
        """
        options = _options(stratify, seed)
        options.second_fraction = second_fraction
        if like is not None:
            if label_shares is not None:
                raise ValueError("label_shares and like exclude each other")
            counts = like.statistics().label
            label_shares = {label: count for label, count in counts.items() if label is not None and count}
        if label_shares is not None:
            names = self.labels
            unknown = [label for label in label_shares if label not in names]
            if unknown:
                raise ValueError(f"label_shares: {unknown[0]!r} is none of the {len(names)} labels")
            shares = (ctypes.c_double * len(names))(*(label_shares.get(label, 0.0) for label in names))
            options.label_shares, options.label_share_count = shares, len(names)
        first, second = ctypes.c_void_p(), ctypes.c_void_p()
        check(
            library().kluere_dataset_split_stratified(
                self._handle, ctypes.byref(options), ctypes.byref(first), ctypes.byref(second)
            )
        )
        return type(self)(first), type(self)(second)


def _options(stratify: Sequence[str], seed: Optional[int]):
    flags = {"label": _abi.KLUERE_STRATIFY_LABEL, "types": _abi.KLUERE_STRATIFY_TYPES}
    names = [stratify] if isinstance(stratify, str) else list(stratify)
    unknown = [name for name in names if name not in flags]
    if unknown:
        raise ValueError(f"stratify has {unknown[0]!r}, expected 'label' and 'types'")
    options = initialized(_abi.kluere_split_options, "kluere_split_options_init")
    assign(options, stratify=sum(flags[name] for name in set(names)), seed=seed)
    return options
