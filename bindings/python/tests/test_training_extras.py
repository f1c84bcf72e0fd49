"""Learning rates by depth, freezing, schedules, adamw_hf, averages of weights and gradient checkpointing: against torch,
against transformers' schedules, and bit for bit against themselves."""

import os
import re
import signal
import subprocess
import sys

import pytest

import kluere
import made_up
from conftest import HERE

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from test_model_parity import LABELS, OFF, batch, one_thread, reference_model, relative  # noqa: E402, F401

SHAPE = "width 12"  # three layers
PEAK, DECAY, WARMUP, STEPS = 2e-3, 0.05, 5, 30


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folders = {family: tmp_path_factory.mktemp("reference") for family in ("bert", "roberta")}
    for family, folder in folders.items():
        reference_model(family, SHAPE, folder)
    return folders


def opened(folder, context):
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    return kluere.Model.open(folder, input_form="entity_pair", context=context), theirs.eval().double()


# ---- The references


def factor_of(name, layers, options):
    """What the learning rate of a parameter is multiplied with; None: it is frozen."""
    decay = options.get("layer_decay", 1.0)
    layer = re.search(r"encoder\.layer\.(\d+)\.", name)
    if layer:
        number = int(layer.group(1))
        return None if number < options.get("freeze_layers", 0) else decay ** (layers - number)
    if ".embeddings." in name:
        return None if options.get("freeze_embeddings") else decay ** (layers + 1)
    return options.get("head_learning_rate_factor", 1.0)


class AdamWHF(torch.optim.Optimizer):
    """The formula of transformers' AdamW with correct_bias=True (versions before 5): p -= lr sqrt(1 - b2^t) / (1 - b1^t)
    m / (sqrt(v) + eps), and then p -= lr wd p."""

    def __init__(self, params, **defaults):
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), rate = group["betas"], group["lr"]
            for p in group["params"]:
                state = self.state.setdefault(p, dict(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p)))
                state["t"] += 1
                state["m"] = b1 * state["m"] + (1 - b1) * p.grad
                state["v"] = b2 * state["v"] + (1 - b2) * p.grad**2
                size = rate * (1 - b2 ** state["t"]) ** 0.5 / (1 - b1 ** state["t"])
                p -= size * state["m"] / (state["v"].sqrt() + group["eps"])
                p -= rate * group["weight_decay"] * p


def reference_optimizer(theirs, options):
    groups = {}
    for name, parameter in theirs.named_parameters():
        factor = factor_of(name, theirs.config.num_hidden_layers, options)
        parameter.requires_grad_(factor is not None)
        if factor is not None:
            plain = name.endswith(".bias") or "LayerNorm" in name
            groups.setdefault((factor, 0 if plain else DECAY), []).append(parameter)
    groups = [dict(params=held, lr=PEAK * f, weight_decay=decay) for (f, decay), held in groups.items()]
    kind = AdamWHF if options.get("optimizer") == "adamw_hf" else torch.optim.AdamW
    return kind(groups, lr=PEAK, betas=(0.9, 0.98), eps=1e-4)


def reference_schedule(optimizer, options):
    """transformers' own; its factors times each group's learning rate."""
    kind = options.get("schedule", "linear")
    given = {}
    if "schedule_cycles" in options:
        given["num_cycles"] = options["schedule_cycles"]
    if kind == "polynomial":  # its end is a learning rate, so that the groups' must be the peak: no other case mixes them
        given = dict(power=options.get("schedule_power", 1.0), lr_end=options.get("end_learning_rate", 1e-7))
    if kind == "constant":
        kind = "constant_with_warmup"
    return transformers.get_scheduler(
        kind, optimizer, num_warmup_steps=WARMUP, num_training_steps=STEPS, scheduler_specific_kwargs=given
    )


CASES = {
    "layer decay": dict(layer_decay=0.8),
    "head factor": dict(head_learning_rate_factor=5.0),
    "layer decay and head factor": dict(layer_decay=0.65, head_learning_rate_factor=3.0, optimizer="adamw_hf"),
    "frozen embeddings": dict(freeze_embeddings=True),
    "frozen below": dict(freeze_embeddings=True, freeze_layers=2),
    "frozen layers, embeddings not": dict(freeze_layers=2),
    "only the head": dict(freeze_embeddings=True, freeze_layers=3),
    "adamw_hf": dict(optimizer="adamw_hf"),
    "restarts": dict(schedule="cosine_with_restarts", schedule_cycles=3),
    "one fall": dict(schedule="cosine_with_restarts"),
    "cosine": dict(schedule="cosine"),
    "waves": dict(schedule="cosine", schedule_cycles=1.5),
    "polynomial": dict(schedule="polynomial", schedule_power=2.0, end_learning_rate=1e-5),
    "straight polynomial": dict(schedule="polynomial"),
    "inverse square root": dict(schedule="inverse_sqrt"),
    "constant": dict(schedule="constant"),
    "everything": dict(
        layer_decay=0.9, head_learning_rate_factor=2.0, freeze_embeddings=True, freeze_layers=1, optimizer="adamw_hf",
        schedule="cosine_with_restarts", schedule_cycles=2, checkpoint_activations=True,
    ),
}


@pytest.mark.parametrize("family, case", [("bert", case) for case in CASES] + [("roberta", "everything")])
def test_thirty_updates_are_those_of_torch_with_parameter_groups(folders, context, family, case):
    options = CASES[case]
    ours, theirs = opened(folders[family], context)
    examples = made_up.examples(8, LABELS, seed=3, longest=8)
    trainer = kluere.Trainer(
        ours, kluere.Dataset.create(examples, labels=LABELS, context=context), batch_sentences=8, max_steps=STEPS,
        warmup_steps=WARMUP, learning_rate=PEAK, weight_decay=DECAY, max_grad_norm=0.5, beta2=0.98, epsilon=1e-4,
        **OFF, **options,
    )  # one update sees all rows: their order does not matter
    before = {name: numpy.array(value) for name, value in ours.tensors.items()}
    optimizer = reference_optimizer(theirs, options)
    schedule = reference_schedule(optimizer, options)
    last = list(theirs.parameters())[-1]
    head = next(g for g, group in enumerate(optimizer.param_groups) if any(p is last for p in group["params"]))
    inputs = batch(ours, examples, theirs.config.pad_token_id)
    targets = torch.tensor([LABELS.index(example.label) for example in examples])
    for info in trainer.steps():
        rate = schedule.get_last_lr()[head] / options.get("head_learning_rate_factor", 1.0)
        assert info.learning_rate == pytest.approx(rate, rel=1e-12, abs=1e-18)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(**inputs).logits, targets)
        loss.backward()
        trained = [p for p in theirs.parameters() if p.requires_grad]
        norm = torch.nn.utils.clip_grad_norm_(trained, 0.5)
        assert info.loss == pytest.approx(loss.item(), rel=1e-4), info.step
        assert info.grad_norm == pytest.approx(norm.item(), rel=1e-3)
        optimizer.step()
        schedule.step()
    weights, gradients = trainer.export_model().tensors, trainer.gradients
    for name, parameter in theirs.named_parameters():
        if not parameter.requires_grad:
            assert numpy.array_equal(weights[name], before[name]), name
            assert not numpy.any(gradients[name]), name
        elif not name.endswith("attention.self.key.bias"):  # its gradient is rounding alone
            assert relative(weights[name], parameter.detach().numpy()) < 1e-4, name


# ---- Averages


def small(tmp_path, context, **options):
    model = made_up.model(tmp_path / "tokenizer", context=context)
    rows = made_up.dataset(48, seed=1, longest=12, context=context)
    settings = dict(max_steps=12, batch_sentences=8, learning_rate=3e-3, seed=7)
    return kluere.Trainer(model, rows, **{**settings, **options})


def flat(model):
    return [torch.tensor(numpy.array(value)) for value in model.tensors.values()]


def warm(average, current, count):
    return average + (current - average) * (1 - min(0.9, (1 + float(count)) / (10 + float(count))))


AVERAGES = {
    "ema": (dict(ema_decay=0.9), dict(multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))),
    "short ema": (dict(ema_decay=0.25), dict(multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.25))),
    "ema with warm-up": (dict(ema_decay=0.9, ema_warmup=True), dict(avg_fn=warm)),
    "swa": (dict(swa_start=0.25), {}),
    "swa, every third": (dict(swa_start=0.3, swa_every=3, swa_learning_rate=1e-3), {}),
    "ema above frozen layers": (
        dict(ema_decay=0.9, freeze_embeddings=True, freeze_layers=1),
        dict(multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)),
    ),
}


@pytest.mark.parametrize("case", AVERAGES)
def test_averages_are_those_of_averaged_model(tmp_path, context, case):
    options, kind = AVERAGES[case]
    averaging = small(tmp_path, context, **options)
    averages = ("ema_decay", "ema_warmup", "swa_start", "swa_every", "swa_learning_rate")
    rest = {name: value for name, value in options.items() if name not in averages}
    swa = torch.optim.swa_utils.AveragedModel(
        torch.nn.ParameterList(flat(averaging.export_model())), **kind
    )
    plain = None if "swa_learning_rate" in options else small(tmp_path, context, **rest)
    start, every = int(options.get("swa_start", 0) * 12), options.get("swa_every", 1)
    for info in averaging.steps():
        if info.step > start and "swa_learning_rate" in options:
            assert info.learning_rate == options["swa_learning_rate"]
        if plain is None:  # no twin takes these steps without averaging: the weights come out of a checkpoint
            averaging.save_checkpoint(tmp_path / "now")
            name = "training_weights" if info.step > start else "model"
            weights = safetensors(tmp_path / "now" / f"{name}.safetensors", averaging.export_model())
        else:
            plain.step()
            weights = flat(plain.export_model())
        if info.step > start and (info.step - start - 1) % every == 0:
            swa.update_parameters(torch.nn.ParameterList(weights))
        if info.step > start:
            for found, expected in zip(flat(averaging.export_model()), swa.module):
                assert (found - expected).abs().max() <= 1e-6 * max(1, expected.abs().max()), info.step
        else:
            assert all(torch.equal(a, b) for a, b in zip(flat(averaging.export_model()), weights))


def safetensors(path, model):
    from safetensors.numpy import load_file

    tensors = load_file(path)
    return [torch.tensor(tensors[name]) for name in model.tensors]


def test_the_average_is_evaluated_and_predicts_from_its_checkpoint(tmp_path, context):
    held_out = made_up.dataset(24, seed=2, context=context)
    model = made_up.model(tmp_path / "tokenizer", context=context)
    trainer = kluere.Trainer(
        model, made_up.dataset(48, seed=1, context=context), held_out, max_steps=12, batch_sentences=8, learning_rate=3e-3,
        ema_decay=0.8, evaluate_every=4, output_directory=tmp_path / "out", best_metric="loss",
    )
    seen = {}
    trainer.run(lambda event: seen.update({event.step.step: event.metrics}) if event.kind == "evaluation" else None)
    last = kluere.Model.open(tmp_path / "out" / "checkpoint-last", context=context)
    average = trainer.export_model()
    assert all(numpy.array_equal(last.tensors[name], average.tensors[name]) for name in average.tensors)
    assert kluere.evaluate(last, held_out).loss == pytest.approx(seen[12].loss, abs=1e-6)
    assert trainer.evaluate(held_out).loss == seen[12].loss
    best = kluere.Model.open(tmp_path / "out" / "checkpoint-best", context=context)
    assert kluere.evaluate(best, held_out).loss == pytest.approx(min(m.loss for m in seen.values()), abs=1e-6)
    live = tmp_path / "out" / "checkpoint-last" / "training_weights.safetensors"
    assert any(not torch.equal(a, b) for a, b in zip(safetensors(live, average), flat(average)))
    # A run without an average leaves none in the folder that it takes over.
    small(tmp_path, context).save_checkpoint(tmp_path / "out" / "checkpoint-last")
    assert not live.exists()


# ---- The same bits


EVERYTHING = dict(
    layer_decay=0.8, head_learning_rate_factor=2.0, freeze_embeddings=True, freeze_layers=1, optimizer="adamw_hf",
    schedule="inverse_sqrt", checkpoint_activations=True, ema_decay=0.9, ema_warmup=True,
)
SWA = dict(swa_start=0.2, swa_every=2, swa_learning_rate=1e-3, schedule="polynomial", freeze_layers=1)


def saved(trainer, folder):
    trainer.save_checkpoint(folder)
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


@pytest.mark.parametrize("options", [EVERYTHING, SWA, dict(swa_start=0.9)], ids=["everything", "swa", "late swa"])
def test_results_do_not_depend_on_threads_and_resume_with_the_same_bits(tmp_path, options):
    results = []
    for threads in (1, 2, 3):
        own = kluere.Context(threads=threads)
        trainer = small(tmp_path / str(threads), own, **options)
        rows = made_up.dataset(48, seed=1, longest=12, context=own)
        while not trainer.step().done:
            if threads == 2:  # go on from a checkpoint after each update
                trainer.save_checkpoint(tmp_path / "checkpoint")
                trainer = kluere.Trainer.resume(tmp_path / "checkpoint", rows, context=own)
        results.append(saved(trainer, tmp_path / f"end{threads}"))
    assert results[0] == results[1] == results[2]
    assert "training_weights.safetensors" in results[0]


KILLED = """
import os, signal, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import kluere, made_up
context = kluere.Context(threads=2)
rows = made_up.dataset(48, seed=1, longest=12, context=context)
output, last, options = sys.argv[3], int(sys.argv[4]), eval(sys.argv[5])
if options:
    trainer = kluere.Trainer(made_up.model(output + "-tokenizer", context=context), rows, rows, output_directory=output,
                             max_steps=12, batch_sentences=8, learning_rate=3e-3, checkpoint_every=2, evaluate_every=4,
                             seed=7, **options)
else:
    trainer = kluere.Trainer.resume(output, rows, rows, context=context)
def callback(event):
    if event.kind == "step" and event.step.step == last:
        os.kill(os.getpid(), signal.SIGKILL)
trainer.run(callback=callback)
"""


@pytest.mark.parametrize("options", [EVERYTHING, SWA], ids=["everything", "swa"])
def test_kill_9_and_resume_end_with_the_identical_files(tmp_path, options):
    def run(name, last, options):
        line = [sys.executable, "-c", KILLED, HERE.parent, HERE, tmp_path / name, last, options]
        return subprocess.run([str(part) for part in line], timeout=300).returncode

    assert run("whole", 0, options) == 0
    assert run("killed", 7, options) == -signal.SIGKILL
    assert run("killed", 0, {}) == 0
    for folder in ("checkpoint-last", "checkpoint-best"):
        names = sorted(os.listdir(tmp_path / "whole" / folder))
        assert names == sorted(os.listdir(tmp_path / "killed" / folder))
        assert "training_weights.safetensors" in names or folder == "checkpoint-best"
        for name in names:
            assert (tmp_path / "killed" / folder / name).read_bytes() == (
                tmp_path / "whole" / folder / name
            ).read_bytes(), (folder, name)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
@pytest.mark.parametrize("frozen", [{}, dict(freeze_layers=1), dict(freeze_layers=2, freeze_embeddings=True)], ids=str)
def test_gradient_checkpointing_gives_the_same_bits_with_dropout(tmp_path, context, family, frozen):
    extra = dict(embedding_size=16) if family == "electra" else {}
    start = made_up.model(
        tmp_path / "tokenizer", context=context, family=family, layer_count=4, hidden_dropout=0.2, attention_dropout=0.3,
        **extra,
    )
    rows = made_up.dataset(24, seed=1, longest=12, context=context)
    ends = []
    for checkpointing in (False, True):
        trainer = kluere.Trainer(
            start, rows, max_steps=6, batch_sentences=4, accumulation=2, learning_rate=3e-3, max_grad_norm=0.0,
            checkpoint_activations=checkpointing, **frozen,
        )
        infos = [(info.loss, info.grad_norm) for info in trainer.steps()]
        ends.append((infos, [value.numpy().tobytes() for value in flat(trainer.export_model())]))
    assert ends[0] == ends[1]


MEMORY = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import kluere, made_up
options = eval(sys.argv[4])
context = kluere.Context(threads=1)
start = made_up.model(sys.argv[3], context=context, layer_count=12, hidden_size=64, head_count=2, intermediate_size=256)
rows = made_up.dataset(64, seed=1, longest=40, context=context)
trainer = kluere.Trainer(start, rows, max_steps=1, batch_sentences=64, **options)
def peak():  # not ru_maxrss: it begins with that of the process that started this one
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
trainer.step()
print(peak() - before)
"""


def test_gradient_checkpointing_and_freezing_take_less_memory(tmp_path):
    def kilobytes(**options):
        line = [sys.executable, "-c", MEMORY, HERE.parent, HERE, tmp_path / "tokenizer", options]
        return int(subprocess.run([str(part) for part in line], capture_output=True, check=True, timeout=300).stdout)

    whole, checkpointed = kilobytes(), kilobytes(checkpoint_activations=True)
    frozen = kilobytes(freeze_embeddings=True, freeze_layers=10)
    # 12 layers of activations against their inputs and the values of one; against those of two layers.
    assert checkpointed < 0.4 * whole and frozen < 0.4 * whole, (whole, checkpointed, frozen)


def test_what_is_frozen_has_no_moments(tmp_path, context):
    trainer = small(tmp_path, context, freeze_embeddings=True, freeze_layers=1)
    trainer.step()
    trainer.save_checkpoint(tmp_path / "checkpoint")
    from safetensors import safe_open

    with safe_open(tmp_path / "checkpoint" / "optimizer.safetensors", "numpy") as file:
        names = list(file.keys())
    assert names and not any("embeddings" in name or "layer.0" in name for name in names)
    assert any("layer.1" in name for name in names)


# ---- What cannot be


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(ema_decay=0.9, swa_start=0.5), ["ema_decay", "swa_start"]),
        (dict(ema_warmup=True), ["ema_warmup", "ema_decay"]),
        (dict(swa_every=2), ["swa_every", "swa_start"]),
        (dict(swa_learning_rate=1e-4), ["swa_learning_rate", "swa_start"]),
        (dict(schedule_cycles=2.0), ["schedule_cycles", "schedule: linear"]),
        (dict(schedule="constant", schedule_power=2.0), ["schedule_power", "schedule: constant"]),
        (dict(schedule="cosine", end_learning_rate=1e-6), ["end_learning_rate", "schedule: cosine"]),
        (dict(schedule="cosine_with_restarts", schedule_cycles=1.5), ["schedule_cycles", "whole number"]),
        (dict(schedule="polynomial", learning_rate=1e-7), ["end_learning_rate", "learning_rate"]),
        (dict(optimizer="adamw_hf", weight_decay=1000.0), ["weight_decay", "adamw_hf"]),
        (dict(freeze_layers=3), ["freeze_layers", "2 layers"]),
        (dict(layer_decay=0.0), ["layer_decay"]),
        (dict(layer_decay=1.5), ["layer_decay"]),
        (dict(head_learning_rate_factor=0.0), ["head_learning_rate_factor"]),
        (dict(ema_decay=1.0), ["ema_decay"]),
        (dict(swa_start=1.0), ["swa_start"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, (dict, list)) else None,
)
def test_contradictions_are_refused_by_name(tmp_path, context, options, words):
    with pytest.raises(kluere.InvalidArgument) as caught:
        small(tmp_path, context, **options)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)
