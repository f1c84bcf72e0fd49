"""The numbers of the explore page, computed from the rows."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from typing import Dict, Optional, Tuple

from .dataset import Dataset

Counts = Dict[Optional[str], int]


@dataclasses.dataclass(frozen=True)
class Statistics:
    rows: int
    labelled: int
    sentences: int
    label: Counts
    source: Counts
    subject_type: Counts
    object_type: Counts
    type_pair: Counts
    type_pair_without_no_relation: Counts
    label_types: Dict[Tuple[Optional[str], Optional[str], Optional[str]], int]
    characters: Counts  # length to rows
    tokens: Optional[Counts]


def statistics(dataset: Dataset, tokenizer=None) -> Statistics:
    label, source, subject, object_ = Counter(), Counter(), Counter(), Counter()
    pairs, related, triples, characters, tokens, sentences = (
        Counter(),
        Counter(),
        Counter(),
        Counter(),
        Counter(),
        set(),
    )
    for row in dataset:
        label[row.label] += 1
        source[row.source] += 1
        subject[row.subject.type] += 1
        object_[row.object.type] += 1
        pair = f"{row.subject.type}-{row.object.type}"
        pairs[pair] += 1
        if row.label not in (None, "no_relation"):
            related[pair] += 1
        triples[row.label, row.subject.type, row.object.type] += 1
        characters[len(row.text)] += 1
        sentences.add(row.text)
        if tokenizer is not None:
            tokens[len(tokenizer.encode(row.text).ids)] += 1
    by_count = [dict(counter.most_common()) for counter in (source, subject, object_, pairs, related, triples)]
    return Statistics(
        len(dataset),
        sum(label.values()) - label[None],
        len(sentences),
        {name: label[name] for name in dataset.labels},
        *by_count,
        dict(characters),
        dict(tokens) if tokenizer else None,
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
