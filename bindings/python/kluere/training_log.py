"""What a training run said on its way, in a file beside its checkpoints: the learning curves come from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Dict, List

from .training import TrainEvent

FILE_NAME = "training-log.jsonl"
_FIGURES = ("micro_f1", "micro_precision", "micro_recall", "auprc", "accuracy", "loss", "perplexity")


class TrainingLog:
    """A callback of Trainer.run that writes one JSON object a line.

        trainer.run(TrainingLog(output))

    {"kind": "training", "step", "epoch", "loss", "learning_rate", "grad_norm"}: the loss as the mean over the updates
    since the line before, about a hundred lines a run; {"kind": "evaluation", "step", "epoch", "micro_f1", ...}.
    A run that is resumed goes on with the file; lines of updates that are made again are dropped.
    """

    def __init__(self, folder) -> None:
        self.path = Path(folder) / FILE_NAME
        self._sum, self._count = 0.0, 0
        self._begun = False

    def __call__(self, event: TrainEvent) -> None:
        step = event.step
        if not self._begun:
            self._begun = True
            self._drop_from(step.step)
        if event.kind == "step":
            self._sum += step.loss
            self._count += 1
            if step.step % max(1, step.total_steps // 100) == 0 or step.done:
                self._write_loss(step)
        elif event.kind == "evaluation":
            figures = {name: getattr(event.metrics, name) for name in _FIGURES if hasattr(event.metrics, name)}
            self._write({"kind": "evaluation", "step": step.step, "epoch": step.epoch, **figures})

    def _write_loss(self, step) -> None:
        loss, self._sum, self._count = self._sum / self._count, 0.0, 0
        self._write(
            {
                "kind": "training",
                "step": step.step,
                "epoch": step.epoch,
                "loss": loss,
                "learning_rate": step.learning_rate,
                "grad_norm": step.grad_norm,
            }
        )

    def _write(self, entry: dict) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _drop_from(self, step: int) -> None:
        kept = [entry for entry in read_log(self.path) if entry["step"] < step]
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        os.replace(beside, self.path)


def read_log(path) -> List[Dict[str, float]]:
    """The lines of a training log (or of the one in a folder); [] without a file. A line cut short by a stop is left
    out."""
    path = Path(path)
    if path.is_dir():
        path /= FILE_NAME
    entries = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append(entry)
    return entries
