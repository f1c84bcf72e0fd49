"""python -m kluere train, evaluate, predict, as a user types them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import kluere
import made_up
from conftest import HERE

KLUE = ["no_relation", "org:top_members/employees", "org:members", "per:title", "per:employee_of", "per:spouse"]
SMALL = ["--layers", "1", "--hidden", "24", "--heads", "3", "--batch-size", "8", "--threads", "2", "--epochs", "1.5"]


def command(*arguments, **options):
    return [sys.executable, "-m", "kluere", *map(str, arguments)], dict(
        env={**os.environ, "PYTHONPATH": str(HERE.parent)}, **options
    )


def kluere_command(*arguments, status=0):
    line, options = command(*arguments, capture_output=True, text=True, timeout=300)
    done = subprocess.run(line, **options)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    made_up.write_tokenizer(folder / "tokenizer")
    made_up.write_klue_json(folder / "train.json", made_up.examples(80, KLUE, seed=1))
    made_up.write_klue_json(folder / "dev.json", made_up.examples(30, KLUE, seed=2))
    return folder


@pytest.fixture(scope="module")
def trained(files):
    done = kluere_command(
        "train", files / "train.json", "--dev", files / "dev.json", "--tokenizer", files / "tokenizer",
        "-o", files / "out", *SMALL,
    )
    assert "micro-F1" in done.stdout and "train: 15/15" in done.stderr
    return files / "out"


def test_train_leaves_a_model_and_checkpoints(trained):
    assert {"model", "checkpoint-last", "checkpoint-best"} <= set(os.listdir(trained))
    model = kluere.Model.open(trained / "model")
    assert model.config.layer_count == 1 and model.config.intermediate_size == 96 and len(model.labels) == 30


def test_a_head_of_ones_own(files, tmp_path):
    kluere_command(
        "train", files / "train.json", "--tokenizer", files / "tokenizer", "-o", tmp_path / "out", *SMALL,
        "--head", "cls_entity_start", "--entity-segments", "--multi-sample-dropout", 3, "--max-steps", 3,
    )
    config = kluere.Model.open(tmp_path / "out" / "model").config
    assert config.head == "cls_entity_start" and config.entity_segments
    assert json.loads((tmp_path / "out" / "checkpoint-last" / "trainer_state.json").read_text())["configuration"][
        "multi_sample_dropout"
    ] == 3


def test_a_vocabulary_file_and_a_validation_fraction(files, tmp_path):
    done = kluere_command(
        "train", files / "train.json", "--validation-fraction", "0.25", "-o", tmp_path / "out", "--save", "best",
        "--tokenizer", files / "tokenizer" / "vocab.txt", "--quiet", *SMALL,
    )
    assert "micro-F1" in done.stdout and "train:" not in done.stderr


def test_training_goes_on_from_a_model_with_its_own_labels(trained, files, tmp_path):
    done = kluere_command(
        "train", files / "train.json", "--model", trained, "-o", tmp_path / "more", "--max-steps", "3", "--threads", "2"
    )
    assert "3/3" in done.stderr
    assert kluere.Model.open(tmp_path / "more" / "model").labels == kluere.Model.open(trained / "model").labels


def test_a_recipe_and_what_goes_before_it(files, tmp_path):
    out = tmp_path / "out"
    train = ["train", files / "train.json", "--tokenizer", files / "tokenizer", *SMALL[:6], "--quiet"]
    kluere_command(*train, "--recipe", "typed-punct", "--max-steps", 2, "-o", out)
    model = kluere.Model.open(out / "model")
    assert (model.config.recipe, model.config.head) == ("typed-punct", "entity_start")
    state = json.loads((out / "checkpoint-last" / "trainer_state.json").read_text("utf-8"))
    assert state["configuration"]["learning_rate"] == 3e-5 and state["configuration"]["accumulation"] == 2

    given = ["--recipe", "report-4", "--input-form", "entity_marker", "--lr", "1e-3", "--warmup-ratio", "0.5"]
    kluere_command(*train, *given, "--max-steps", 1, "-o", tmp_path / "own")
    own = kluere.Model.open(tmp_path / "own" / "model")
    assert (own.config.head, own.config.input_form) == ("report_4", "entity_marker")
    state = json.loads((tmp_path / "own" / "checkpoint-last" / "trainer_state.json").read_text("utf-8"))
    assert state["configuration"]["learning_rate"] == 1e-3 and state["configuration"]["warmup_steps"] == 0
    assert state["configuration"]["loss"]["kind"] == "focal"

    assert "typed-punct" in kluere_command("recipes").stdout
    assert "entity_start" in kluere_command("recipes", "typed-punct").stdout
    assert json.loads(kluere_command("recipes", "r-bert", "--json").stdout)["name"] == "r-bert"


def test_own_labels(files, tmp_path):
    rows = made_up.examples(40, ["no_relation", "내 관계"], seed=5)
    made_up.write_klue_json(tmp_path / "own.json", rows)
    kluere_command(
        "train", tmp_path / "own.json", "--labels", "custom", "--tokenizer", files / "tokenizer",
        "-o", tmp_path / "out", *SMALL,
    )
    assert kluere.Model.open(tmp_path / "out" / "model").labels == ["no_relation", "내 관계"]


def test_evaluate_prints_and_gives_json(trained, files):
    done = kluere_command("evaluate", trained, files / "dev.json", "--per-class", "--threads", "2")
    assert "micro-F1" in done.stdout and "org:members" in done.stdout
    done = kluere_command("evaluate", trained / "model", files / "dev.json", "--json", "--per-class", "--quiet")
    figures = json.loads(done.stdout)
    assert figures["rows"] == 30 and len(figures["per_class"]) == 30 and done.stderr == ""
    model = kluere.Model.open(trained / "model")
    expected = kluere.evaluate(model, kluere.Dataset.read(files / "dev.json", labels=model.labels))
    assert figures["micro_f1"] == pytest.approx(expected.micro_f1)
    assert figures["auprc"] == pytest.approx(expected.auprc)


def test_predict_a_file(trained, files, tmp_path):
    lines = kluere_command("predict", trained, files / "dev.json", "--quiet").stdout.splitlines()
    assert len(lines) == 30 and lines[0].startswith("made-up-0\t")
    rows = [json.loads(x) for x in kluere_command("predict", trained, files / "dev.json", "--json").stdout.splitlines()]
    assert [row["id"] for row in rows] == [line.split("\t")[0] for line in lines]
    assert [row["label"] for row in rows] == [line.split("\t")[1] for line in lines]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    kluere_command("predict", trained, files / "dev.json", "-o", tmp_path / "submission.csv")
    with open(tmp_path / "submission.csv", encoding="utf-8", newline="") as stream:
        submission = list(csv.DictReader(stream))
    assert [row["pred_label"] for row in submission] == [row["label"] for row in rows]
    assert len(json.loads(submission[0]["probs"])) == 30


def test_predict_a_typed_sentence(trained):
    text = "가나다와 라마바."
    by_word = kluere_command(
        "predict", trained, "--text", text, "--subject", "가나다", "--subject-type", "PER", "--object", "라마바",
        "--object-type", "ORG", "--top", "2",
    ).stdout
    by_offset = kluere_command(
        "predict", trained, "--text", text, "--subject", "0:3", "--subject-type", "PER", "--object", "5:8",
        "--object-type", "ORG", "--top", "2",
    ).stdout
    assert by_word == by_offset and len(by_word.splitlines()) == 2
    model = kluere.Model.open(trained / "model")
    expected = model.best(kluere.Example(text, (0, 3, "PER"), (5, 8, "ORG")))[0]
    assert by_word.split()[:2] == [f"{expected[1]:.4f}", expected[0]]


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["train", "{f}/none.json", "--tokenizer", "{f}/tokenizer", "-o", "{f}/x"], 1, "none.json"),
        (["train", "{f}/train.json", "-o", "{f}/x"], 2, "--model FOLDER or --tokenizer PATH"),
        (["train", "{f}/train.json", "--tokenizer", "{f}/tokenizer", "-o", "{f}/out"], 2, "add --resume"),
        (["train", "{f}/train.json", "--model", "{f}/out", "--layers", "2", "-o", "{f}/x"], 2, "random weights"),
        (["evaluate", "{f}/nowhere", "{f}/dev.json"], 1, "nowhere"),
        (["predict", "{f}/out"], 2, "DATA, --text or --pairs"),
        (["predict", "{f}/out", "--text", "가가", "--subject", "가", "--object", "1:2"], 1, "more than once"),
        (["predict", "{f}/out", "--text", "가나", "--subject", "다", "--object", "1:2"], 1, "is not in the sentence"),
        (["predict", "{f}/out", "--text", "가나", "--subject", "0:9", "--object", "1:2"], 1, "KLUERE_ERR_INVALID"),
    ],
)
def test_mistakes_get_a_line_and_a_status(trained, files, arguments, status, message):
    done = kluere_command(*(argument.format(f=files) for argument in arguments), status=status)
    assert message in done.stderr


# ---- how sentences become tokens

ONE_STEP = ["--layers", "1", "--hidden", "24", "--heads", "3", "--max-steps", "1", "--threads", "1", "--quiet"]
EXAMPLE = kluere.Example("가나다와 라마바.", (0, 3, "PER"), (5, 8, "ORG"))


def tokens(model):
    return [model.tokenizer.token(id) for id in model.encode(EXAMPLE).ids]


def test_input_options_go_into_the_model_and_its_training_goes_on_with_them(files, tmp_path):
    kluere_command(
        "train", files / "train.json", "--tokenizer", files / "tokenizer", "-o", tmp_path / "a", *ONE_STEP,
        "--input-form", "klue", "--after-marker", "new_word", "--max-tokens", "20",
    )
    first = kluere.Model.open(tmp_path / "a" / "model")
    assert (first.config.input_form, first.config.after_marker, first.config.max_tokens) == ("klue", "new_word", 20)
    assert tokens(first)[1] == "<subj>" and first.vocabulary_size == len(first.tokenizer)
    # Without options the folder's own; with them others, and the embeddings grow.
    kluere_command("train", files / "train.json", "--model", tmp_path / "a", "-o", tmp_path / "b", *ONE_STEP[6:])
    assert tokens(kluere.Model.open(tmp_path / "b" / "model")) == tokens(first)
    kluere_command(
        "train", files / "train.json", "--model", tmp_path / "a", "-o", tmp_path / "c", *ONE_STEP[6:],
        "--input-form", "entity_marker", "--after-marker", "continuation", "--max-tokens", "64",
    )
    other = kluere.Model.open(tmp_path / "c" / "model")
    assert tokens(other)[1] == "[E1]" and other.config.max_tokens == 64
    assert other.vocabulary_size == first.vocabulary_size + 4
    assert "micro-F1" in kluere_command("evaluate", tmp_path / "c", files / "dev.json", "--quiet").stdout


@pytest.mark.parametrize("particles, written", [("fixed", "##이"), ("agree", "##가")])
def test_a_template_of_ones_own_and_particles(particles, written, files, tmp_path):
    kluere_command(
        "train", files / "train.json", "--tokenizer", files / "tokenizer", "-o", tmp_path / "out", *ONE_STEP,
        "--template", "{subject}이? [SEP] {marked_sentence:entity_marker_punct}", "--particles", particles,
    )
    model = kluere.Model.open(tmp_path / "out" / "model")
    assert (model.config.input_form, model.config.particles) == ("template", particles)
    prompt = tokens(model)[: tokens(model).index("[SEP]")]
    assert prompt[-2:] == [written, "?"] and tokens(model)[len(prompt) + 1] == "@"


INPUT_MISTAKES = [
    (["--input-form", "klue", "--template", "{sentence}"], 1, "input_template: given with the input form klue"),
    (["--input-form", "template"], 1, "input_template: missing"),
    (["--template", "{subjct}{sentence}"], 1, "character 0: {subjct} is no placeholder"),
    (["--template", ""], 1, "sentence was there nowhere"),
    (["--input-form", "r_bert"], 1, 'r_bert: the vocabulary has no piece for "$"'),
    (["--input-form", "KLUE"], 2, "invalid choice: 'KLUE'"),
    (["--particles", "both"], 2, "invalid choice: 'both'"),
    (["--after-marker", "nothing"], 2, "invalid choice: 'nothing'"),
    (["--max-tokens", "7"], 1, "max_tokens: 7, expected 8 to 512"),
    (["--max-tokens", "8"], 1, "max_tokens: 8, the input form typed_entity_marker_punct alone has 10"),
    (["--max-tokens", "-1"], 1, "max_tokens: -1, expected 0 to 4294967295"),
    (["--max-tokens", "many"], 2, "invalid int value: 'many'"),
    (["--validation-fraction", "2"], 2, "--validation-fraction: 2.0, expected more than 0 and less than 1"),
]


def test_mistakes_in_input_options(files, tmp_path, capsys):
    """In this process: thirteen interpreters would take their time."""
    from kluere.cli import main

    base = ["train", str(files / "train.json"), "--tokenizer", str(files / "tokenizer"), "-o", str(tmp_path / "x")]
    for arguments, status, message in INPUT_MISTAKES:
        try:
            found = main([*base, *ONE_STEP, *arguments])
        except SystemExit as end:  # argparse
            found = end.code
        errors = capsys.readouterr().err
        assert found == status and message in errors, (arguments, errors)
        assert errors.strip().splitlines()[-1].startswith("kluere"), errors
        assert not (tmp_path / "x").exists()


def test_ctrl_c_and_resume_end_with_the_identical_model(files, tmp_path):
    def arguments(name):
        return [
            "train", files / "train.json", "--dev", files / "dev.json", "--tokenizer", files / "tokenizer",
            "-o", tmp_path / name, "--epochs", "20", "--evaluate-every", "5", *SMALL[:-2],
        ]

    kluere_command(*arguments("whole"))
    line, options = command(*arguments("stopped"), stderr=subprocess.PIPE, text=True)
    running = subprocess.Popen(line, **options)
    deadline = time.monotonic() + 60
    while not (tmp_path / "stopped" / "checkpoint-last").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130 and "kluere: stopped" in errors and "Traceback" not in errors
    assert not (tmp_path / "stopped" / "model").exists()
    done = kluere_command(*arguments("stopped"), "--resume")
    assert "going on from" in done.stderr
    name = "model/model.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes()


def test_a_terminal_gets_a_bar(files, tmp_path):
    pty = pytest.importorskip("pty")
    line, options = command(
        "train", files / "train.json", "--tokenizer", files / "tokenizer", "-o", tmp_path / "out", *SMALL
    )
    ours, theirs = pty.openpty()
    running = subprocess.Popen(line, stderr=theirs, stdout=subprocess.DEVNULL, **options)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert running.wait(timeout=60) == 0
    assert "█".encode() in seen and b"15/15" in seen and b"loss" in seen


def test_options_of_training_that_most_runs_leave_alone(files, tmp_path):
    extras = ["--layer-decay", "0.8", "--head-learning-rate-factor", "2", "--freeze-embeddings", "--ema-decay", "0.5",
              "--ema-warmup", "--optimizer", "adamw_hf", "--schedule", "polynomial", "--schedule-power", "2",
              "--end-learning-rate", "1e-6", "--checkpoint-activations"]  # fmt: skip
    start = ["train", files / "train.json", "--tokenizer", files / "tokenizer", *SMALL, "--quiet"]
    kluere_command(*start, "-o", tmp_path / "out", *extras)
    state = json.loads((tmp_path / "out" / "checkpoint-last" / "trainer_state.json").read_text())["configuration"]
    found = [state[name] for name in ("layer_decay", "freeze_embeddings", "ema_warmup", "optimizer", "schedule_power")]
    assert found == [0.8, True, True, "adamw_hf", 2] and state["checkpoint_activations"]
    assert (tmp_path / "out" / "checkpoint-last" / "training_weights.safetensors").exists()
    refused = kluere_command(*start, "-o", tmp_path / "no", "--ema-decay", "0.5", "--swa-start", "0.5", status=1)
    assert "ema_decay" in refused.stderr and "swa_start" in refused.stderr
