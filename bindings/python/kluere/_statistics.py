"""The numbers of the explore page, in the shape that its charts take, from the library's statistics."""

from __future__ import annotations

import dataclasses
import math
from typing import Dict, Optional

from . import analysis
from .dataset import Dataset

Counts = Dict[Optional[str], int]


def statistics(dataset: Dataset, tokenizer=None) -> analysis.Statistics:
    """Dataset.statistics with the lengths as plain counts."""
    found = dataset.statistics(tokenizer)
    return dataclasses.replace(
        found,
        characters=found.characters.rows_by_length,
        tokens=found.tokens.rows_by_length if found.tokens else None,
    )


def divergence(first: Counts, second: Counts) -> float:
    """Jensen-Shannon, in bits: 0 alike, 1 nothing in common."""
    total_first, total_second = sum(first.values()) or 1, sum(second.values()) or 1
    bits = 0.0
    for key in {**first, **second}:
        p, q = first.get(key, 0) / total_first, second.get(key, 0) / total_second
        middle = (p + q) / 2
        bits += sum(0.5 * share * math.log2(share / middle) for share in (p, q) if share > 0)
    return max(0.0, bits)
