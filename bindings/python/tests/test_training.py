"""Trainer: steps, run with callbacks, stopping, Ctrl-C, and going on bit for bit, also after kill -9."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import kluere
import made_up
from conftest import HERE

OPTIONS = dict(max_steps=12, batch_sentences=8, learning_rate=1e-3, evaluate_every=4, checkpoint_every=3, seed=7)


@pytest.fixture
def start(tmp_path, context):
    return made_up.model(tmp_path / "tokenizer", context=context)


@pytest.fixture
def data(context):
    return made_up.dataset(64, seed=1, context=context), made_up.dataset(24, seed=2, context=context)


def weights(model, folder):
    model.save(folder)
    return (folder / "model.safetensors").read_bytes()


def test_steps_count_and_learn(start, data):
    trainer = kluere.Trainer(start, data[0], **{**OPTIONS, "max_steps": 60})
    infos = list(trainer.steps())
    assert [info.step for info in infos] == list(range(1, 61))
    assert infos[-1].done and not infos[-2].done and infos[0].total_steps == 60
    assert all(info.sentences == 8 and info.tokens > 8 and info.seconds > 0 for info in infos)
    assert infos[7].epoch == pytest.approx(1)
    assert sum(info.loss for info in infos[-8:]) < sum(info.loss for info in infos[:8])
    with pytest.raises(kluere.KluereError) as caught:
        trainer.step()
    assert caught.value.status_name == "KLUERE_ERR_STATE"
    assert list(trainer.steps()) == []


def test_the_initial_model_stays_as_it_is(start, data, tmp_path):
    before = weights(start, tmp_path / "before")
    kluere.Trainer(start, data[0], **OPTIONS).run()
    assert weights(start, tmp_path / "after") == before


def test_results_do_not_depend_on_the_number_of_threads(data, tmp_path):
    results = []
    for threads in (1, 2, 3):
        own = kluere.Context(threads=threads)
        trainer = kluere.Trainer(made_up.model(tmp_path / f"t{threads}", context=own), data[0], **OPTIONS)
        trainer.run()
        results.append(weights(trainer.export_model(), tmp_path / f"m{threads}"))
    assert results[0] == results[1] == results[2]


def test_events_come_in_order(start, data, tmp_path):
    events = []
    trainer = kluere.Trainer(start, *data, output_directory=tmp_path / "out", **OPTIONS)
    assert trainer.run(callback=events.append) is True  # list.append returns None: go on
    assert [event.step.step for event in events if event.kind == "step"] == list(range(1, 13))
    assert [event.step.step for event in events if event.kind == "evaluation"] == [4, 8, 12]
    evaluations = [event for event in events if event.kind == "evaluation"]
    assert all(0 <= event.metrics.micro_f1 <= 1 and event.metrics.rows == 24 for event in evaluations)
    assert evaluations[0].is_best
    written = {os.path.basename(event.path) for event in events if event.kind == "checkpoint"}
    assert written == {"checkpoint-last", "checkpoint-best"}
    last = kluere.Model.open(tmp_path / "out" / "checkpoint-last")
    assert weights(last, tmp_path / "a") == weights(trainer.export_model(), tmp_path / "b")
    measured = trainer.evaluate(data[1])
    assert measured.micro_f1 == pytest.approx(evaluations[-1].metrics.micro_f1)
    assert kluere.evaluate(trainer.export_model(), data[1]).auprc == pytest.approx(measured.auprc, abs=1e-6)


def test_a_callback_can_stop_and_run_goes_on(start, data, tmp_path):
    whole = kluere.Trainer(start, *data, output_directory=tmp_path / "whole", **OPTIONS)
    whole.run()
    stopped = kluere.Trainer(start, *data, output_directory=tmp_path / "stopped", **OPTIONS)
    assert stopped.run(callback=lambda event: event.step.step == 5) is False
    assert (tmp_path / "stopped" / "checkpoint-last").is_dir()
    resumed = kluere.Trainer.resume(tmp_path / "stopped", *data)
    assert resumed.run() is True
    assert stopped.run() is True
    expected = weights(whole.export_model(), tmp_path / "w")
    assert weights(stopped.export_model(), tmp_path / "s") == expected
    assert weights(resumed.export_model(), tmp_path / "r") == expected


def test_an_exception_in_a_callback_is_raised_from_run(start, data, tmp_path, capfd):
    class Mine(Exception):
        pass

    def callback(event):
        if event.step.step == 3:
            raise Mine("enough")

    trainer = kluere.Trainer(start, data[0], output_directory=tmp_path / "out", **OPTIONS)
    with pytest.raises(Mine, match="enough"):
        trainer.run(callback=callback)
    assert (tmp_path / "out" / "checkpoint-last").is_dir()
    assert "Exception ignored" not in capfd.readouterr().err
    assert trainer.run() is True


def test_a_callback_may_not_step_its_own_trainer(start, data):
    trainer = kluere.Trainer(start, data[0], **OPTIONS)
    with pytest.raises(kluere.KluereError) as caught:
        trainer.run(callback=lambda event: trainer.step())
    assert caught.value.status_name == "KLUERE_ERR_STATE"


def test_request_stop_from_another_thread(start, data):
    trainer = kluere.Trainer(start, data[0], **{**OPTIONS, "max_steps": 10**6})
    timer = threading.Timer(0.3, trainer.request_stop)
    timer.start()
    assert trainer.run() is False
    timer.join()
    assert trainer.step().step > 1


@pytest.mark.parametrize("with_callback", [False, True])
def test_ctrl_c_writes_a_checkpoint_and_raises(start, data, tmp_path, with_callback):
    output = tmp_path / "out"
    options = {**OPTIONS, "max_steps": 10**6, "evaluate_every": 10**6, "checkpoint_every": 10**6}
    trainer = kluere.Trainer(start, data[0], output_directory=output, **options)
    before = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        trainer.run(callback=(lambda event: None) if with_callback else None)
    assert time.monotonic() - begun < 10
    timer.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert (output / "checkpoint-last").is_dir()
    step = trainer.step().step
    assert kluere.Trainer.resume(output, data[0]).step().step == step


def test_ctrl_c_inside_a_slow_callback(start, data):
    trainer = kluere.Trainer(start, data[0], **OPTIONS)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        trainer.run(callback=lambda event: time.sleep(30))
    assert time.monotonic() - begun < 10
    timer.join()


def test_resume_needs_the_rows_of_then(start, data, tmp_path):
    trainer = kluere.Trainer(start, *data, **OPTIONS)
    trainer.step()
    trainer.save_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(kluere.KluereError):
        kluere.Trainer.resume(tmp_path / "checkpoint", data[1], data[0])
    resumed = kluere.Trainer.resume(tmp_path / "checkpoint", *data)
    for _ in range(3):
        first, second = trainer.step(), resumed.step()
        assert (first.step, first.loss, first.grad_norm) == (second.step, second.loss, second.grad_norm)


KILLED = """
import os, signal, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import kluere, made_up
context = kluere.Context(threads=2)
train, held_out = made_up.dataset(64, seed=1, context=context), made_up.dataset(24, seed=2, context=context)
output, last, begin = sys.argv[3], int(sys.argv[4]), sys.argv[5] == "begin"
if begin:
    start = made_up.model(output + "-tokenizer", context=context)
    trainer = kluere.Trainer(start, train, held_out, output_directory=output, max_steps=12, batch_sentences=8,
                             learning_rate=1e-3, evaluate_every=4, checkpoint_every=3, seed=7, accumulation=2)
else:
    trainer = kluere.Trainer.resume(output, train, held_out, context=context)
def callback(event):
    if event.kind == "step" and event.step.step == last:
        os.kill(os.getpid(), signal.SIGKILL)
trainer.run(callback=callback)
trainer.export_model().save(output + "-model")
"""


def test_kill_9_and_resume_end_with_the_identical_file(tmp_path):
    def run(name, last, begin):
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(HERE.parent), str(HERE), str(tmp_path / name), str(last), begin],
            timeout=300,
        ).returncode

    assert run("whole", 0, "begin") == 0
    assert run("killed", 5, "begin") == -signal.SIGKILL
    assert not (tmp_path / "killed-model").exists()
    assert run("killed", 10, "resume") == -signal.SIGKILL
    assert run("killed", 0, "resume") == 0
    for name in ("model.safetensors", "kluere.json", "config.json"):
        assert (tmp_path / "killed-model" / name).read_bytes() == (tmp_path / "whole-model" / name).read_bytes(), name
    best = "checkpoint-best/model.safetensors"
    assert (tmp_path / "killed" / best).read_bytes() == (tmp_path / "whole" / best).read_bytes()


def test_options_are_checked(start, data):
    for wrong in (dict(epochs=-1.0), dict(learning_rate=float("nan")), dict(batch_sentences=0, batch_tokens=0)):
        with pytest.raises(kluere.InvalidArgument):
            kluere.Trainer(start, data[0], **wrong)
    with pytest.raises(ValueError, match="schedule is 'triangle'"):
        kluere.Trainer(start, data[0], schedule="triangle")
    with pytest.raises(TypeError):
        kluere.Trainer(start, data[0], learning_rat=1)
    with pytest.raises(ValueError, match="batch_sentences: -1, expected 0 to 4294967295"):
        kluere.Trainer(start, data[0], batch_sentences=-1)


def test_a_loss_that_explodes_is_told(start, data):
    trainer = kluere.Trainer(
        start, data[0], max_steps=200, learning_rate=1e30, max_grad_norm=0, schedule="constant", warmup_ratio=0.0
    )
    with pytest.raises(kluere.NotFinite) as caught:
        trainer.run()
    assert isinstance(caught.value, ArithmeticError)
