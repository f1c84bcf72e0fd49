"""Options of `train` that most runs leave alone; see docs/training.md."""

from __future__ import annotations

import argparse

from ._arrays import choices

_FLAGS = {
    "freeze_embeddings": "they stay as they are",
    "ema_warmup": "a smaller --ema-decay at first",
    "checkpoint_activations": "compute layers again in the backward pass: less memory, more time, the same result",
}
_NUMBERS = {
    "layer_decay": (float, "X", "a layer's learning rate is this times that of the next one up (default: 1)"),
    "head_learning_rate_factor": (float, "X", "times the learning rate, for the head (default: 1)"),
    "freeze_layers": (int, "N", "so many of the lowest layers stay as they are"),
    "ema_decay": (float, "X", "exponential moving average of the weights, such as 0.999"),
    "swa_start": (float, "X", "equal mean of the weights after this share of the updates, such as 0.75"),
    "swa_every": (int, "N", "updates from one summand to the next (default: 1)"),
    "swa_learning_rate": (float, "X", "constant, from --swa-start on (default: the schedule's)"),
    "schedule_cycles": (float, "X", "waves of cosine (default: 0.5), falls of cosine_with_restarts (default: 1)"),
    "schedule_power": (float, "X", "of the polynomial (default: 1)"),
    "end_learning_rate": (float, "X", "of the polynomial (default: 1e-7)"),
}


def add_training_extras(parser: argparse.ArgumentParser) -> None:
    extras = parser.add_argument_group("more about training")
    extras.add_argument("--optimizer", choices=list(choices("KLUERE_OPTIMIZER_")), help="default: adamw")
    for name, (kind, unit, text) in _NUMBERS.items():
        extras.add_argument("--" + name.replace("_", "-"), type=kind, metavar=unit, help=text)
    for name, text in _FLAGS.items():
        extras.add_argument("--" + name.replace("_", "-"), action="store_true", default=None, help=text)


def training_extras(options) -> dict:
    """The same as keyword arguments of Trainer."""
    return {name: getattr(options, name) for name in ("optimizer", *_NUMBERS, *_FLAGS)}
