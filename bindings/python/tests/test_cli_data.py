"""python -m kluere stats, audit, clean, split and augment, as a user types them."""

import json

import pytest

import kluere
import made_up
from test_cli import KLUE, kluere_command


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli-data")
    made_up.write_tokenizer(folder / "tokenizer")
    rows = made_up.examples(60, KLUE, seed=1)
    made_up.write_klue_json(folder / "train.json", rows + rows[:2])
    made_up.write_klue_json(folder / "dev.json", made_up.examples(20, KLUE, seed=2) + rows[5:6])
    return folder


def test_stats_prints_tables_and_json(files):
    done = kluere_command("stats", files / "train.json", files / "dev.json", "--tokenizer", files / "tokenizer")
    assert "62 rows" in done.stdout and "Jensen-Shannon" in done.stdout and "tokens: " in done.stdout
    found = json.loads(kluere_command("stats", files / "train.json", files / "dev.json", "--json").stdout)
    assert found["rows"] == 62 and found["other"]["leakage"]["sentences"] == 1


def test_audit_lists_and_counts(files):
    done = kluere_command("audit", files / "train.json", files / "dev.json", "--severity", "warning")
    assert "leaked_input" in done.stdout and "note" not in done.stdout
    lines = kluere_command("audit", files / "train.json", "--tokenizer", files / "tokenizer", "--json").stdout
    kinds = [json.loads(line)["kind"] for line in lines.splitlines()]
    assert kinds.count("duplicate") == 2 and kinds.count("duplicate_id") == 2


def test_clean_writes_rows_and_a_log_that_leads_back(files, tmp_path):
    done = kluere_command("clean", files / "train.json", "-o", tmp_path / "c.csv", "--log", tmp_path / "log.json")
    assert "62 to 60 rows" in done.stdout and "duplicates: 2 x removed" in done.stdout
    restored = kluere.Dataset.read(tmp_path / "c.csv").restore((tmp_path / "log.json").read_text(encoding="utf-8"))
    assert [row.text for row in restored] == [row.text for row in kluere.Dataset.read(files / "train.json")]


def test_split_writes_pairs_of_files(files, tmp_path):
    done = kluere_command("split", files / "train.json", "-o", tmp_path / "one", "--fraction", "0.25", "--seed", "3")
    assert done.stdout.count("rows:") == 2
    sizes = [len(kluere.Dataset.read(tmp_path / "one" / f"{name}.json")) for name in ("train", "validation")]
    assert sum(sizes) == 62 and 10 <= sizes[1] <= 20
    kluere_command("split", files / "train.json", "-o", tmp_path / "k", "--folds", "3", "--ending", ".csv")
    assert len(list((tmp_path / "k").iterdir())) == 6
    assert "--like" in kluere_command("split", files / "train.json", "-o", tmp_path, "--folds", "3", "--like",
                                      files / "dev.json", status=2).stderr


def test_augment_writes_rows_of_every_kind(files, tmp_path):
    source = files / "train.json"
    (tmp_path / "p.jsonl").write_text(
        json.dumps({"id": "made-up-3", "sentence": "다른 문장"}, ensure_ascii=False) + "\n", encoding="utf-8")
    done = kluere_command(
        "augment", source, "-o", tmp_path / "a.jsonl", "--kind", "mask_words", "delete_words", "--row-share", "0.5",
        "--copies", "2", "--paraphrases", tmp_path / "p.jsonl", "--seed", "7")
    assert "not taken: made-up-3" in done.stderr and "paraphrases: 0 rows" in done.stdout
    made = kluere.Dataset.read(tmp_path / "a.jsonl")
    assert len(made) > 62 and {row.id.split("~")[1] for row in made if row.origin} == {
        "mask", "mask2", "delete", "delete2"}
    kluere_command("augment", source, "-o", tmp_path / "b.csv", "--kind", "mask_subject", "--only-new")
    assert all(row.subject_text == "[MASK]" for row in kluere.Dataset.read(tmp_path / "b.csv"))
    assert "--kind" in kluere_command("augment", source, "-o", tmp_path / "c.csv", status=2).stderr


def test_augment_fills_in_with_a_masked_lm(files, tmp_path):
    made_up.model(tmp_path / "tokenizer", task="masked_lm").save(tmp_path / "masked")
    done = kluere_command("augment", files / "dev.json", "-o", tmp_path / "f.json", "--fill-in", tmp_path / "masked")
    assert "fill_in: " in done.stdout and any(row.id.endswith("~fill") for row in kluere.Dataset.read(tmp_path / "f.json"))


@pytest.mark.parametrize("name", ["stats", "audit"])
def test_help_and_wrong_command_lines(files, name):
    assert "--labels" in kluere_command(name, "--help").stdout
    assert "usage" in kluere_command(name, status=2).stderr
    assert "No such file" in kluere_command(name, files / "none.json", status=1).stderr
