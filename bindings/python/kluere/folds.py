"""k-fold training: one model for each fold, probabilities of every row by a model that never saw it, one pipeline.

    folds = kluere.train_folds("out", lambda labels: kluere.Model.open("klue/roberta-base", labels=labels), train, 5)
    pipeline = kluere.Pipeline.open("out")      # the mean of the five
    decoding, report = kluere.Decoding.fit(folds.out_of_fold, train.label_indices, scores_are="probabilities")

A loop over public calls. Everything lies in one folder; a driver that was stopped or killed goes on where it was: members that
are finished are skipped, the one in progress is resumed from its checkpoint, bit for bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import struct
from array import array
from pathlib import Path
from typing import Callable, List, Mapping, Optional, Sequence, Union

from ._arrays import numpy, rows_of
from .context import Context
from .dataset import Dataset
from .model import Model
from .pipeline import FILE_NAME
from .training import Trainer
from .training_log import TrainingLog

PLAN_NAME = "plan.json"
OUT_OF_FOLD_NAME = "out-of-fold.npy"

# Gives the model to start from, for these labels: called once for each member that is begun.
Start = Callable[[Sequence[str]], Model]
# Makes a trainer: (model, train, held out or None, folder for checkpoints).
NewTrainer = Callable[[Model, Dataset, Optional[Dataset], Path], Trainer]


@dataclasses.dataclass(frozen=True)
class TrainedFolds:
    """folder holds pipeline.json, out-of-fold.npy and fold-0, fold-1, ..., each with its model. folds: of each row."""

    folder: Path
    models: List[Path]
    folds: List[int]
    out_of_fold: object  # rows x labels


def train_folds(
    output,
    start: Start,
    train: Dataset,
    folds: Union[int, Sequence[int]] = 5,
    *,
    labels: Optional[Sequence[str]] = None,
    options: Mapping[str, object] = {},
    trainer: Optional[NewTrainer] = None,
    settings: Mapping[str, object] = {},
    stratify: Sequence[str] = ("label", "types"),
    seed: int = 42,
    save: str = "last",
    vote: str = "soft",
    keep_checkpoints: bool = True,
    progress: bool = False,
    precision: str = "float32",
    context: Optional[Context] = None,
) -> TrainedFolds:
    """Trains a model on all folds but one, for each fold, and evaluates it there.

    output    the folder; one with another plan in it is refused
    start     start(labels) gives the model to begin with
    folds     how many (by Dataset.folds: alike in labels and types, equal sentences together), or the fold of each row
    labels    of the models (default: the dataset's)
    options   of the Trainer, output_directory excepted; or trainer: a function that makes one, settings: what it depends on
    save      "last" weights or the "best" on the fold, which then is no longer a held-out one in the strict sense
    vote      of the pipeline: "soft" or "hard"
    precision of the predictions out of fold
    context   where members are resumed and predict (default: the CPU); the start's and the trainer's are yours
    """
    output = Path(output)
    names = list(labels or train.labels)
    assigned = [int(f) for f in (train.folds(folds, stratify=stratify, seed=seed) if isinstance(folds, int) else folds)]
    if len(assigned) != len(train):
        raise ValueError(f"folds: {len(assigned)} entries for {len(train)} rows")
    count = max(assigned) + 1
    if count < 2 or min(assigned) < 0 or len(set(assigned)) != count:
        raise ValueError(f"folds: expected a row in each of 0 to {count - 1}, and at least two folds")
    check_options(options, trainer, save)
    write_plan(
        output,
        {"kind": "folds", "folds": digest(assigned), "count": count, "train": fingerprint(train), "labels": names,
         "options": described({**settings, **options}), "save": save, "vote": vote},
    )
    table = array("f", bytes(4 * len(train) * len(names)))
    models = []
    for fold in range(count):
        inside = [row for row, own in enumerate(assigned) if own == fold]
        held_out = train.subset(inside)
        rest = train.subset(row for row, own in enumerate(assigned) if own != fold)
        folder = output / f"fold-{fold}"
        path = train_member(
            folder, lambda: start(names), rest, held_out, options=options, trainer=trainer, save=save,
            keep_checkpoints=keep_checkpoints, progress=progress, context=context,
        )
        models.append(path)
        with Model.open(path, context=context) as model:
            if model.labels != names:
                raise ValueError(f"{path}: the model's labels are not those asked for")
            for row, line in zip(inside, model.predict(held_out, precision=precision)):
                table[row * len(names) : (row + 1) * len(names)] = array("f", [float(x) for x in line])
    write_npy(output / OUT_OF_FOLD_NAME, table, len(train), len(names))
    members = [{"folder": str(path.relative_to(output)), "role": "general"} for path in models]
    write_json(output / FILE_NAME, {"format_version": 1, "kind": "mean", "vote": vote, "labels": names, "members": members})
    container = numpy().frombuffer(table, "float32").copy() if numpy() is not None else table
    return TrainedFolds(output, models, assigned, rows_of(container, len(train), len(names)))


def train_member(
    folder: Path,
    start: Callable[[], Model],
    train: Dataset,
    held_out: Optional[Dataset],
    *,
    options: Mapping[str, object] = {},
    trainer: Optional[NewTrainer] = None,
    save: str = "last",
    keep_checkpoints: bool = True,
    progress: bool = False,
    context: Optional[Context] = None,
) -> Path:
    """folder/model: there already, or trained from folder/checkpoint-last, or from start(). KeyboardInterrupt leaves a
    checkpoint."""
    path = folder / "model"
    if path.is_dir():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "checkpoint-last").is_dir():
        running = Trainer.resume(folder, train, held_out, context=context)
    elif trainer is not None:
        running = trainer(start(), train, held_out, folder)
    else:
        running = Trainer(start(), train, held_out, output_directory=folder, **options)
    with running:
        running.run(TrainingLog(folder), progress=progress)
        if save == "best" and held_out is not None:
            trained = Model.open(folder / "checkpoint-best", read_into_memory=True, context=context)
        else:
            trained = running.export_model()
    with trained:
        trained.save(path)
    if not keep_checkpoints:
        for name in ("checkpoint-last", "checkpoint-best"):
            shutil.rmtree(folder / name, ignore_errors=True)
    return path


def check_options(options: Mapping[str, object], trainer: Optional[NewTrainer], save: str) -> None:
    if "output_directory" in options:
        raise ValueError("options has output_directory, which is each member's own: expected it without")
    if trainer is not None and options:
        raise ValueError("options and trainer are both given, expected one of them")
    if save not in ("last", "best"):
        raise ValueError(f"save is {save!r}, expected 'last' or 'best'")


# ---- what a folder was begun with


def write_plan(output: Path, plan: dict) -> None:
    """Refuses to go on in a folder that was begun with another plan: what is finished there would be mixed up."""
    path = output / PLAN_NAME
    plan = json.loads(json.dumps(plan, default=str))
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        different = sorted(key for key in {**plan, **before} if plan.get(key) != before.get(key))
        if different:
            raise ValueError(
                f"{output} was begun with another {' and another '.join(different)}: choose another folder, or what it was"
            )
        return
    if (output / FILE_NAME).exists() or any(output.glob("*/model")) or any(output.glob("*/checkpoint-last")):
        raise ValueError(f"{output} has models in it and no {PLAN_NAME}: choose another folder")
    output.mkdir(parents=True, exist_ok=True)
    write_json(path, plan)


def described(options: Mapping[str, object]) -> dict:
    return {name: value if isinstance(value, (int, float, str, type(None))) else repr(value) for name, value in options.items()}


def digest(values: Sequence[int]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()


def fingerprint(dataset: Dataset) -> str:
    """Of all rows in their order, as training sees them."""
    found = hashlib.sha256()
    for row in dataset:
        spans = [row.subject.begin, row.subject.end, row.subject.type, row.object.begin, row.object.end, row.object.type]
        found.update(json.dumps([row.text, spans, row.label]).encode())
    return found.hexdigest()


# ---- files that appear whole


def write_json(path: Path, content: dict) -> None:
    _replace(path, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def write_npy(path: Path, values: array, rows: int, columns: int) -> None:
    """A float32 table as numpy.save writes it."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    _replace(path, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}f", *values))


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
