"""Hyperparameter search: a study that is stopped and goes on, pruning, several processes, memory."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

import kluere
import made_up
from conftest import HERE
from test_cli import KLUE, command, kluere_command

optuna = pytest.importorskip("optuna")
from kluere import tune, tune_page  # noqa: E402
from test_explore import check  # noqa: E402


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    made_up.write_tokenizer(folder / "tokenizer")
    made_up.write_klue_json(folder / "train.json", made_up.examples(60, KLUE, seed=1))
    return folder


def tune_command(files, study, *more):
    return [
        "tune",
        files / "train.json",
        "--study",
        study,
        "--tokenizer",
        files / "tokenizer",
        "--layers",
        "1",
        "--hidden",
        "24",
        "--heads",
        "3",
        "--epochs",
        "1",
        "--batch-size",
        "8",
        "--threads",
        "1",
        *more,
    ]


def states(path):
    study = optuna.load_study(study_name="kluere", storage=f"sqlite:///{path}")
    return [(trial.state.name, trial.params) for trial in study.trials]


def test_a_study_begins_with_the_defaults_and_goes_on_where_it_was(files, tmp_path):
    study = tmp_path / "study.db"
    done = kluere_command(*tune_command(files, study, "--trials", "3"))
    assert "trial 0: " in done.stderr and "MiB" in done.stderr and "best: python -m kluere train" in done.stdout
    first = states(study)
    assert len(first) == 3 and first[0][1]["beta1"] == 0.9 and first[0][1]["schedule"] == "linear"
    assert {"learning_rate", "beta1", "beta2", "epsilon", "warmup_ratio", "weight_decay", "schedule", "seed"} == set(
        first[0][1]
    )
    done = kluere_command(*tune_command(files, study, "--trials", "5", "--json", "--report", tmp_path / "page.html"))
    rows = json.loads(done.stdout)
    assert len(rows) == 5 and len({json.dumps(row["parameters"]) for row in rows}) == 5
    assert states(study)[:3] == first
    assert all(row["resident"] > 0 and row["seconds"] > 0 for row in rows)
    assert len(check((tmp_path / "page.html").read_text(encoding="utf-8"))) >= 3
    kluere_command(*tune_command(files, study, "--trials", "5", "--metric", "loss"), status=1)


def test_what_a_killed_process_was_at_is_tried_again(files, tmp_path):
    study = tmp_path / "study.db"
    line, options = command(*tune_command(files, study, "--trials", "2", "--epochs", "2000"))
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if study.exists() and any(name == "RUNNING" and parameters for name, parameters in _states_or_none(study)):
                break
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    ((name, parameters),) = states(study)
    assert name == "RUNNING" and parameters["beta1"] == 0.9
    kluere_command(*tune_command(files, study, "--trials", "2"))
    found = states(study)
    assert [name for name, _ in found][0] == "FAIL" and len(found) == 3
    assert found[1][1] == parameters, "the trial that was under way comes first"


def _states_or_none(path):
    """As states(), once the other process has made a trial: Optuna would make the tables itself while that one does."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            if connection.execute("select count(*) from trials").fetchone()[0] == 0:
                return []
    except sqlite3.Error:
        return []
    return states(path)


def test_ctrl_c_ends_cleanly_and_its_trial_is_tried_again(files, tmp_path):
    study = tmp_path / "study.db"
    line, options = command(*tune_command(files, study, "--trials", "2", "--epochs", "2000"))
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **options)
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(parameters for _, parameters in _states_or_none(study)):
        time.sleep(0.2)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in messages
    opened = tune.open_study(study)
    assert tune.recover(opened) == 1 and tune.recover(opened) == 0
    assert [trial.state.name for trial in opened.trials] == ["FAIL", "WAITING"]


def test_several_processes_share_a_study(files, tmp_path):
    study = tmp_path / "study.db"
    kluere_command(*tune_command(files, study, "--trials", "5", "--workers", "2"))
    opened = tune.open_study(study)
    assert tune.finished(opened) >= 5
    processes = {trial.user_attrs["process"][1] for trial in opened.trials if "process" in trial.user_attrs}
    assert len(processes) == 2


def test_trials_are_pruned_and_leave_no_memory(files, tmp_path):
    dataset = made_up.dataset(48)
    path = made_up.write_tokenizer(tmp_path / "tokenizer")
    tokenizer = kluere.Tokenizer(path)

    def start(seed):
        return kluere.Model.create(
            tokenizer,
            labels=dataset.labels,
            hidden_size=96,
            layer_count=2,
            head_count=3,
            intermediate_size=384,
            max_positions=128,
            seed=seed,
        )

    quick = dict(batch_sentences=16, evaluations=2)
    study = tune.open_study(tmp_path / "study.db", trials=6)
    study.pruner = optuna.pruners.ThresholdPruner(upper=-1.0)  # every value is too high
    tune.search(study, start, dataset, dataset, trials=6, space=tune.RANDOM_WEIGHTS, max_steps=3, **quick)
    assert [trial.state.name for trial in study.trials] == ["PRUNED"] * 6
    study.pruner = optuna.pruners.NopPruner()
    tune.search(study, start, dataset, dataset, trials=16, space=tune.RANDOM_WEIGHTS, max_steps=3, **quick)
    resident = [row["resident"] for row in sorted(tune.results(study), key=lambda row: row["number"])]
    # A model with its optimizer takes 4 MB: ten that stayed would show.
    assert max(resident[6:]) - resident[5] < 16 * 2**20
    best = tune.results(study)[0]
    assert best["state"] == "complete" and best["value"] == max(best["evaluations"])
    assert check(tune_page.page(study))
    assert "pruned" in tune.table(study)


def test_a_step_that_is_too_large_ends_its_trial_not_the_search(tmp_path):
    dataset = made_up.dataset(24)
    tokenizer = kluere.Tokenizer(made_up.write_tokenizer(tmp_path / "tokenizer"))

    def start(seed):
        return kluere.Model.create(
            tokenizer,
            labels=dataset.labels,
            hidden_size=24,
            layer_count=1,
            head_count=3,
            intermediate_size=48,
            seed=seed,
        )

    study = tune.open_study(tmp_path / "study.db", trials=2)
    options = dict(space={"learning_rate": tune.Range(1e30, 1e32, log=True)}, max_steps=20, warmup_ratio=0.0)
    tune.search(study, start, dataset, dataset, trials=2, **options)
    assert [trial.state.name for trial in study.trials] == ["PRUNED"] * 2
    assert study.trials[0].user_attrs["not_finite"] and tune.table(study)
    check(tune_page.page(study))


def test_values_as_a_user_writes_them():
    assert tune.parse_values("learning_rate", "1e-5:5e-5:log") == tune.Range(1e-5, 5e-5, log=True)
    assert tune.parse_values("seed", "0:9") == tune.Range(0, 9, integer=True)
    assert tune.parse_values("beta1", "0.9") == 0.9
    assert tune.parse_values("schedule", "linear,cosine") == ("linear", "cosine")
    for name, text in [
        ("beta1", "0.9:0.8"),
        ("beta1", "x"),
        ("epsilon", "0:1:log"),
        ("gamma", "1"),
        ("beta1", "1:2:3"),
    ]:
        with pytest.raises(ValueError):
            tune.parse_values(name, text)


def test_without_optuna_the_command_says_what_is_missing(files, tmp_path):
    (tmp_path / "optuna.py").write_text("raise ImportError('none here')\n")
    line = [sys.executable, "-m", "kluere", *map(str, tune_command(files, tmp_path / "s.db"))]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{HERE.parent}"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "pip install optuna" in done.stderr and "Traceback" not in done.stderr
