"""Training of cascades and of classifiers for pairs of entity types: each member an ordinary training, one pipeline.

    kluere.train_cascade("out", lambda labels: kluere.Model.open("klue/roberta-base", labels=labels), train,
                         pairs=[("PER", "DAT"), ("PER", "ORG"), ("ORG", "ORG"), ("PER", "PER")], folds=5)

As train_folds it goes on where it was stopped.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .context import Context
from .dataset import Dataset
from .folds import NewTrainer, Start, check_options, described, fingerprint, train_member, write_json, write_plan
from .pipeline import FILE_NAME

NO_RELATION = "no_relation"


@dataclasses.dataclass(frozen=True)
class TrainedPipeline:
    """folder holds pipeline.json and a folder for each member. models: paths by member, one for each fold."""

    folder: Path
    models: Dict[str, List[Path]]


@dataclasses.dataclass(frozen=True)
class _Member:
    name: str
    role: str
    data: Dataset
    rows: List[int]  # of the training data
    held_out: Optional[Dataset]
    pair: Optional[Tuple[str, str]] = None


def train_cascade(
    output,
    start: Start,
    train: Dataset,
    held_out: Optional[Dataset] = None,
    *,
    kind: str = "cascade",
    pairs: Sequence[Tuple[str, str]] = (),
    rule: Optional[str] = None,
    threshold: Optional[float] = None,
    general: str = "all",
    narrow_labels: bool = False,
    folds: int = 0,
    options: Mapping[str, object] = {},
    trainer: Optional[NewTrainer] = None,
    settings: Mapping[str, object] = {},
    seed: int = 42,
    save: str = "last",
    keep_checkpoints: bool = True,
    progress: bool = False,
    context: Optional[Context] = None,
) -> TrainedPipeline:
    """Trains a binary, a general and specific classifiers, or with kind "pairs" all but the binary one.

    start          start(labels) gives the model to begin with, for the labels of a member
    held_out       rows to evaluate each member on, with folds: none, since every fold is held out once
    pairs          (subject type, object type) of the specific classifiers. In a cascade they learn from rows with a relation;
                   with kind "pairs" from all rows of their types
    rule, threshold  of the pipeline: see Pipeline.create
    general        "all": the general classifier learns from all rows; "relations": from those with a relation
    narrow_labels  specific classifiers have only the labels that occur with their types; else all of the dataset
    folds          0: one model for each member; n: the mean of n, each trained without one of n folds, the same for all members
    options, trainer, settings, save, context   as in train_folds
    """
    output = Path(output)
    pairs = [tuple(pair) for pair in pairs]
    check_options(options, trainer, save)
    _check(kind, pairs, rule, threshold, general, folds, held_out, save, train.labels)
    labels = train.labels
    write_plan(
        output,
        {"kind": kind, "pairs": ["-".join(pair) for pair in pairs], "general": general, "narrow_labels": narrow_labels,
         "folds": folds, "seed": seed, "train": fingerprint(train), "labels": labels, "save": save,
         "held_out": None if held_out is None else fingerprint(held_out), "options": described({**settings, **options})},
    )
    assigned = [int(fold) for fold in train.folds(folds, seed=seed)] if folds else None
    models: Dict[str, List[Path]] = {}
    listed = []
    for member in _members(train, held_out, kind, pairs, general, narrow_labels):
        shared = dict(
            options=options, trainer=trainer, save=save, keep_checkpoints=keep_checkpoints, progress=progress,
            context=context,
        )
        models[member.name] = [
            train_member(output / where, lambda: start(member.data.labels), data, evaluation, **shared)
            for where, data, evaluation in _parts(member, assigned, folds)
        ]
        for path in models[member.name]:
            entry = {"folder": str(path.relative_to(output)), "role": member.role}
            if member.pair is not None:
                entry["subject_type"], entry["object_type"] = member.pair
            listed.append(entry)
    content = {"format_version": 1, "kind": kind}
    if rule is not None:
        content["rule"] = rule
    if threshold is not None:
        content["threshold"] = threshold
    write_json(output / FILE_NAME, {**content, "labels": labels, "members": listed})
    return TrainedPipeline(output, models)


def _check(kind, pairs, rule, threshold, general, folds, held_out, save, labels) -> None:
    if kind not in ("cascade", "pairs"):
        raise ValueError(f"kind is {kind!r}, expected 'cascade' or 'pairs'")
    for name, value in (("rule", rule), ("threshold", threshold)):
        if kind != "cascade" and value is not None:
            raise ValueError(f"{name} is given and kind is {kind!r}: only a cascade has one")
    if rule == "product" and threshold is not None:
        raise ValueError("threshold is given and rule is 'product', which has none")
    if rule not in (None, "threshold", "product"):
        raise ValueError(f"rule is {rule!r}, expected 'threshold' or 'product'")
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}, expected 0 to 1")
    if kind == "pairs" and not pairs:
        raise ValueError("kind is 'pairs' and pairs is empty, expected some")
    if general not in ("all", "relations"):
        raise ValueError(f"general is {general!r}, expected 'all' or 'relations'")
    if kind == "pairs" and general == "relations":
        raise ValueError("general is 'relations' and kind is 'pairs': without a binary member nobody would say no_relation")
    wrong = [pair for pair in pairs if len(pair) != 2 or any("/" in part or "\0" in part for part in pair)]
    if wrong:
        raise ValueError(f"pairs has {wrong[0]!r}, expected (subject type, object type) that can name a folder")
    if len(set(pairs)) != len(pairs):
        raise ValueError("pairs: one stands there twice")
    if folds and held_out is not None:
        raise ValueError("folds and held_out are both given: every fold is held out once, expected one of them")
    if folds == 1 or folds < 0:
        raise ValueError(f"folds is {folds}, expected 0 or at least 2")
    if save == "best" and not folds and held_out is None:
        raise ValueError("save is 'best' without folds or held_out: nothing says which is the best")
    if NO_RELATION not in labels:
        raise ValueError(f"none of the {len(labels)} labels is no_relation")


def _members(train: Dataset, held_out, kind, pairs, general, narrow) -> List[_Member]:
    rows = list(train)
    everything = list(range(len(rows)))
    related = [i for i in everything if rows[i].label != NO_RELATION]
    members = []
    if kind == "cascade":
        members.append(
            _Member("binary", "binary", train.binary(), everything, None if held_out is None else held_out.binary())
        )
    if general == "relations":
        members.append(_Member("general", "general", train.subset(related), related, _selected(held_out, False)))
    else:
        members.append(_Member("general", "general", train, everything, held_out))
    for subject, object in pairs:
        chosen = [i for i in everything if (rows[i].subject.type or "", rows[i].object.type or "") == (subject, object)]
        chosen = [i for i in chosen if kind == "pairs" or rows[i].label != NO_RELATION]
        name = f"{subject}-{object}"
        if not chosen:
            raise ValueError(f"pairs: no row of {name} to learn from")
        data = train.subset(chosen)
        if narrow:
            data = data.select(narrow_labels=True)
        evaluation = _selected(held_out, kind == "pairs", subject, object)
        if evaluation is not None and narrow:
            evaluation = _known(evaluation, data.labels)
        members.append(_Member(name, "specific", data, chosen, evaluation, (subject, object)))
    return members


def _selected(data: Optional[Dataset], with_none: bool, subject=None, object=None) -> Optional[Dataset]:
    """Held-out rows for a member; None where there are none."""
    if data is None:
        return None
    rows = [
        i for i, row in enumerate(data)
        if (subject is None or ((row.subject.type or ""), (row.object.type or "")) == (subject, object))
        and row.label is not None and (with_none or row.label != NO_RELATION)
    ]
    return data.subset(rows) if rows else None


def _known(data: Dataset, labels: Sequence[str]) -> Optional[Dataset]:
    """Rows whose label a member with fewer labels has: it cannot be judged on others."""
    rows = [i for i, row in enumerate(data) if row.label in labels]
    return data.subset(rows) if rows else None


def _parts(member: _Member, assigned: Optional[List[int]], folds: int):
    """(folder, rows to learn from, rows to evaluate on or None) of each training of a member."""
    if assigned is None:
        yield member.name, member.data, member.held_out
        return
    own = [assigned[row] for row in member.rows]
    for fold in range(folds):
        rest = [i for i, f in enumerate(own) if f != fold]
        inside = [i for i, f in enumerate(own) if f == fold]
        if not rest:
            raise ValueError(f"{member.name}: all its {len(own)} rows are in fold {fold}, expected fewer folds")
        yield (
            f"{member.name}/fold-{fold}", member.data.subset(rest), member.data.subset(inside) if inside else None
        )
