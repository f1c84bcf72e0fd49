"""Hyperparameter search with Optuna: resumable, pruned, several processes on one study. Needs `pip install optuna`.

    study = kluere.tune.open_study("study.db", trials=20)
    kluere.tune.prepare(study)
    kluere.tune.search(study, start, train, validation, trials=20, epochs=2)

A study is an SQLite file. Whatever ends a process, its finished trials are in the file; the next call goes on with
them, and tries again what was under way.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import gc
import math
import os
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from .dataset import Dataset
from .errors import NotFinite
from .model import Model
from .training import Trainer

METRICS = ("micro_f1", "auprc", "accuracy", "loss")


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from low to high; log: in equal steps of their logarithm; integer: whole ones."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}" + (":log" if self.log else "") + (":int" if self.integer else "")


Values = Union[Range, Tuple[str, ...], float, int, str]
Space = Dict[str, Values]

# The space that the competition's teams searched around pretrained weights, widened to hold what they found.
FINE_TUNING: Space = {
    "learning_rate": Range(5e-6, 1e-4, log=True),
    "beta1": Range(0.8, 0.95),
    "beta2": Range(0.95, 0.9999),
    "epsilon": Range(1e-9, 1e-6, log=True),
    "warmup_ratio": Range(0.0, 0.3),
    "weight_decay": Range(0.0, 0.4),
    "schedule": ("linear", "cosine", "constant"),
    "seed": Range(0, 9999, integer=True),
}
# Random weights want larger steps.
RANDOM_WEIGHTS: Space = {**FINE_TUNING, "learning_rate": Range(5e-5, 3e-3, log=True)}
_NUMBERS = {
    "learning_rate",
    "beta1",
    "beta2",
    "epsilon",
    "warmup_ratio",
    "weight_decay",
    "max_grad_norm",
    "hidden_dropout",
    "attention_dropout",
    "classifier_dropout",
    "epochs",
    "layer_decay",
    "head_learning_rate_factor",
    "ema_decay",
}
_INTEGERS = {"seed", "warmup_steps", "batch_sentences", "batch_tokens", "accumulation", "multi_sample_dropout"}
_CHOICES = {"schedule"}


def parse_values(name: str, text: str) -> Values:
    """The values of one hyperparameter as a user writes them: "1e-5:5e-5:log", "0:9999", "linear,cosine", "0.01"."""
    if name not in _NUMBERS | _INTEGERS | _CHOICES:
        raise ValueError(
            f"{name!r} cannot be searched, expected one of " + ", ".join(sorted(_NUMBERS | _INTEGERS | _CHOICES))
        )
    if name in _CHOICES:
        return tuple(text.split(",")) if "," in text else text
    integer = name in _INTEGERS
    parts = text.split(":")
    log = parts[-1] == "log"
    if log:
        parts.pop()
    try:
        numbers = [int(part) if integer else float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and not log:
        return numbers[0]
    if len(numbers) != 2 or not numbers[0] < numbers[1] or (log and numbers[0] <= 0):
        raise ValueError(f"{name}: {text!r}, expected a number, LOW:HIGH or LOW:HIGH:log")
    return Range(numbers[0], numbers[1], log, integer)


def _optuna():
    try:
        import optuna
    except ImportError:
        raise ImportError("the search needs Optuna: pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a warning of a trial that was stopped comes with a traceback
    return optuna


def open_study(path, *, name: str = "kluere", metric: str = "micro_f1", trials: int = 20, seed: int = 42):
    """The study in an SQLite file, made if it is not there.

    trials  how many are planned: a third of them, at most 10, are drawn at random before the sampler (TPE) learns from
            them, and as many finish before any is pruned
    """
    optuna = _optuna()
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}, expected one of " + ", ".join(METRICS))
    startup = max(2, min(10, trials // 3))
    with _alone(path):  # two processes that make the tables at once would both fail
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{Path(path).absolute()}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="minimize" if metric == "loss" else "maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=1),
            load_if_exists=True,
        )
    if study.user_attrs.setdefault("metric", metric) != metric:
        raise ValueError(f"{path}: the study goes by {study.user_attrs['metric']}, not by {metric}")
    study.set_user_attr("metric", metric)
    study.kluere_path = path
    # A sampler that began again from the same seed would draw the random trials of the first run once more.
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=startup, seed=(seed * 1_000_003 + len(study.trials) * 8191 + os.getpid()) % 2**32
    )
    return study


def prepare(study, first: Optional[dict] = None) -> None:
    """Before search(), once for all processes: recover(), and in a new study the trial to begin with, a baseline that
    the others must beat."""
    with _alone(_path(study)):
        recover(study)
        if first and not study.get_trials(deepcopy=False):
            study.enqueue_trial(first)


def recover(study) -> int:
    """Queues what processes that are gone left unfinished once more; how many trials that were.

    A trial is given up when its process on this machine has ended, or when it was stopped by Ctrl-C. Trials of other
    machines are left alone.
    """
    states = _optuna().trial.TrialState
    queued = 0
    trials = study.get_trials(deepcopy=False)
    already = {trial.user_attrs.get("again") for trial in trials}
    for trial in trials:
        attributes = trial.user_attrs
        gone = trial.state == states.RUNNING and _is_gone(attributes.get("process"), trial.datetime_start)
        stopped = trial.state == states.FAIL and attributes.get("interrupted")
        if trial.number in already or not (gone or stopped):
            continue
        if gone:
            study.tell(trial.number, state=states.FAIL)
        study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
        queued += 1
    return queued


def _process() -> List:
    """Who runs a trial: machine, process, and when the process began (numbers are used again)."""
    return [os.uname().nodename, os.getpid(), _begun(os.getpid())]


def _begun(process: int) -> Optional[str]:
    try:
        # Behind the name in brackets, which may hold blanks: field 22, the start in ticks since boot.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _is_gone(process, begun: Optional[datetime.datetime]) -> bool:
    if not process:  # It writes this first of all: after a minute it never will.
        return begun is not None and datetime.datetime.now() - begun > datetime.timedelta(minutes=1)
    return process[0] == os.uname().nodename and _begun(process[1]) != process[2]


def finished(study) -> int:
    """Trials that ran to their end or were pruned."""
    states = _optuna().trial.TrialState
    return sum(trial.state in (states.COMPLETE, states.PRUNED) for trial in study.get_trials(deepcopy=False))


def resident_memory() -> int:
    """Bytes of this process in memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def search(
    study,
    start: Callable[[int], Model],
    train: Dataset,
    validation: Dataset,
    *,
    trials: int,
    space: Optional[Space] = None,
    evaluations: int = 4,
    on_trial: Optional[Callable] = None,
    **options,
) -> None:
    """Trials until the study has `trials` finished ones, those of other processes counted.

    start        gives a model to train from: start(seed). Closed after its trial
    validation   decides; take it from the training data, and report on rows that took no part
    space        FINE_TUNING, RANDOM_WEIGHTS or your own
    evaluations  how often a trial is judged, and may be pruned, on the way
    on_trial     called with each trial that ended here
    options      of Trainer, the same for all trials (epochs, batch_sentences, ...)
    """
    optuna = _optuna()
    space = FINE_TUNING if space is None else space
    metric = study.user_attrs["metric"]
    states = optuna.trial.TrialState

    def objective(trial) -> float:
        values = {name: _suggest(trial, name, choice) for name, choice in space.items()}
        try:
            return _run(trial, start, train, validation, metric, evaluations, {**options, **values})
        except KeyboardInterrupt:
            trial.set_user_attr("interrupted", True)
            raise

    def ended(trial) -> None:
        if on_trial is not None:
            on_trial(trial)

    while True:
        taken = (states.COMPLETE, states.PRUNED, states.RUNNING)
        with _alone(_path(study)):
            # Two processes would both take the trial that waits: SQLite locks no rows.
            if sum(trial.state in taken for trial in study.get_trials(deepcopy=False)) >= trials:
                return
            trial = study.ask()
            trial.set_user_attr("process", _process())
        ended(_finish(study, trial, objective))
        gc.collect()


def _finish(study, trial, objective: Callable):
    """Runs a trial and tells the study how it ended; the trial as the study then has it."""
    optuna = _optuna()
    try:
        return study.tell(trial, objective(trial))
    except optuna.TrialPruned:
        return study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except BaseException:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise


def _path(study):
    """The study's file; None for a study that open_study did not make."""
    return getattr(study, "kluere_path", None)


@contextlib.contextmanager
def _alone(path):
    """While no other process of this machine is in such a block of the same file; path None: at once."""
    if path is None:
        yield
        return
    with open(f"{Path(path).absolute()}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _suggest(trial, name: str, values: Values):
    if isinstance(values, Range) and values.integer:
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    if isinstance(values, Range):
        return trial.suggest_float(name, values.low, values.high, log=values.log)
    if isinstance(values, tuple):
        return trial.suggest_categorical(name, list(values))
    return values


def _run(trial, start, train, validation, metric: str, evaluations: int, options: dict) -> float:
    """One trial: trains, reports at each evaluation, gives the best value on the way, frees all it made."""
    optuna = _optuna()
    better = min if metric == "loss" else max
    values: List[float] = []
    best: dict = {}
    begun = time.monotonic()
    with start(options.get("seed", 42)) as model:
        trainer = Trainer(model, train, validation, evaluate_every=_every(train, evaluations, options), **options)
    with trainer:

        def on_event(event) -> bool:
            if event.kind != "evaluation":
                return False
            value = getattr(event.metrics, metric)
            if not values or better(value, *values) == value:
                best.update(step=event.step.step, micro_f1=event.metrics.micro_f1, auprc=event.metrics.auprc)
            values.append(value)
            trial.report(value, len(values))
            return trial.should_prune()

        try:
            complete = trainer.run(on_event)
        except NotFinite:  # too large a step: a finding about these values, not a reason to end the search
            trial.set_user_attr("not_finite", True)
            complete = False
    del trainer, model
    gc.collect()
    for name, value in {**best, "seconds": time.monotonic() - begun, "resident": resident_memory()}.items():
        trial.set_user_attr(name, value)
    if not complete:
        raise optuna.TrialPruned()
    return better(values)


def _every(train: Dataset, evaluations: int, options: dict) -> int:
    """Updates between evaluations, for about as many of them as asked for."""
    if evaluations < 1:
        raise ValueError(f"evaluations is {evaluations}, expected at least 1")
    if options.get("max_steps"):
        steps = options["max_steps"]
    elif options.get("batch_tokens"):
        return 0  # How many batches there are is not known beforehand: at the end of each epoch.
    else:
        update = options.get("batch_sentences", 32) * options.get("accumulation", 1)
        steps = math.ceil(len(train) / update) * options.get("epochs", 3)
    return max(1, round(steps / evaluations))


def results(study) -> List[dict]:
    """All trials that ended, best first: number, state, value, hyperparameters, and what each took."""
    states = _optuna().trial.TrialState
    sign = 1 if study.user_attrs["metric"] == "loss" else -1
    rows = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state not in (states.COMPLETE, states.PRUNED):
            continue
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value,
                "evaluations": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
                "parameters": dict(trial.params),
                **{name: trial.user_attrs.get(name) for name in ("step", "micro_f1", "auprc", "seconds", "resident")},
            }
        )
    return sorted(
        rows, key=lambda row: (row["state"] != "complete", sign * row["value"] if row["value"] is not None else 0)
    )


def importances(study) -> Dict[str, float]:
    """How much of the values' variation each hyperparameter explains (PED-ANOVA, Watanabe et al. 2023); {} if too few
    trials are complete."""
    optuna = _optuna()
    try:
        return dict(
            optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
        )
    except (ValueError, RuntimeError):
        return {}


def table(study, top: Optional[int] = None) -> str:
    """The trials as lines of text, best first."""
    rows = results(study)[:top]
    if not rows:
        return "no trial has ended"
    names = list(dict.fromkeys(name for row in rows for name in row["parameters"]))
    lines = [["trial", "state", study.user_attrs["metric"], *names, "seconds"]]
    for row in rows:
        shown = [row["parameters"].get(name) for name in names]
        lines.append(
            [
                str(row["number"]),
                row["state"],
                "-" if row["value"] is None else f"{row['value']:.4f}",
                *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in shown),
                "-" if row["seconds"] is None else f"{row['seconds']:.0f}",
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in lines)


def command_line(best: dict) -> Sequence[str]:
    """The best trial's values as options of `python -m kluere train`, where it has them."""
    flags = {
        "learning_rate": "--lr",
        "warmup_ratio": "--warmup-ratio",
        "weight_decay": "--weight-decay",
        "schedule": "--schedule",
        "seed": "--seed",
        "max_grad_norm": "--max-grad-norm",
        "batch_sentences": "--batch-size",
        "beta1": "--beta1",
        "beta2": "--beta2",
        "epsilon": "--epsilon",
    }
    return [
        f"{flags[name]} {value:.6g}" if isinstance(value, float) else f"{flags[name]} {value}"
        for name, value in best.items()
        if name in flags
    ]
