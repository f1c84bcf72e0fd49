"""The explore page: its numbers, that it needs nothing from outside, and that no text of a chart leaves it."""

import html.parser
import json
import math
import re
import xml.etree.ElementTree

import pytest

import kluere
import made_up
from conftest import REPOSITORY
from kluere import charts, explore
from kluere.training_log import TrainingLog, read_log
from test_cli import kluere_command

SAMPLES = REPOSITORY / "samples" / "data"


class Tags(html.parser.HTMLParser):
    """Refuses a page whose tags do not nest."""

    VOID = {"meta", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.addresses = [], []

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and all(address.startswith("#") for address in tags.addresses)
    assert not re.search(r"https?://|url\(|@import|<script", page), "the page fetches something"
    drawings = re.findall(r"<svg.*?</svg>", page, re.S)
    for drawing in drawings:
        texts_lie_inside(drawing)
    return drawings


def texts_lie_inside(drawing):
    tree = xml.etree.ElementTree.fromstring(drawing)
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    for text in tree.iter("text"):
        size = {"small": 11, "tiny": 9.5, "on": 9.5}.get(text.attrib.get("class"), 12)
        x, y, length = float(text.attrib["x"]), float(text.attrib["y"]), charts.text_width(text.text or "", size) * 0.85
        begin = x - {"start": 0, "middle": length / 2, "end": length}[text.attrib["text-anchor"]]
        end = begin + length
        if "transform" in text.attrib:
            end, top = x + length * math.cos(math.radians(55)), y - length * math.sin(math.radians(55))
            assert top >= -2, text.text
        assert begin >= -2 and end <= width + 2 and 0 <= y <= height, (text.text, begin, end, width)


@pytest.fixture(scope="module")
def sample_files():
    return [(name, kluere.Dataset.read(SAMPLES / name)) for name in ("train.json", "dev.json")]


def test_the_page_is_whole_and_shows_every_label(sample_files):
    page = explore.page(sample_files, tokenizer=kluere.Tokenizer(SAMPLES))
    assert len(check(page)) >= 10
    for label in sample_files[0][1].labels:
        assert label in page
    assert "1,000" in page and "200" in page
    first = sample_files[0][1][0]
    assert explore.marked(first).count("<mark") == 2
    assert re.sub("<[^>]+>", "", explore.marked(first)) == html.escape(first.text)


def test_the_numbers_are_those_of_a_count_by_hand(sample_files):
    train = sample_files[0][1]
    found = explore.statistics(train)
    rows = json.loads((SAMPLES / "train.json").read_text(encoding="utf-8"))
    assert found.rows == len(rows) and found.label["per:spouse"] == sum(row["label"] == "per:spouse" for row in rows)
    pair = sum(row["subject_entity"]["type"] + row["object_entity"]["type"] == "PERORG" for row in rows)
    assert found.type_pair["PER-ORG"] == pair
    assert explore.divergence({"a": 1, "b": 1}, {"a": 2, "b": 2}) == 0
    assert explore.divergence({"a": 3}, {"b": 5}) == 1
    # (0.5, 0.5) beside (1, 0): SciPy's jensenshannon(p, q, base=2) ** 2
    assert explore.divergence({"a": 1, "b": 1}, {"a": 1}) == pytest.approx(0.3112781244591328, abs=1e-12)


def test_text_of_a_file_cannot_become_part_of_the_page():
    text = "<script>alert(1)</script> & '가'"
    rows = [kluere.Example(text, kluere.Entity(0, 8, "<b>"), kluere.Entity(28, 29, '"x"'), label="<i>", source="&")]
    page = explore.page([("<u>.json", kluere.Dataset.create(rows, labels=["no_relation", "<i>"]))])
    check(page)
    assert "&lt;script&gt;" in page and "&lt;u&gt;" in page


def test_hidden_labels_one_row_and_no_types_make_a_page():
    rows = [kluere.Example("가 나", kluere.Entity(0, 1), kluere.Entity(2, 3))]
    one = kluere.Dataset.create(rows)
    check(explore.page([("a", one)]))
    check(explore.page([("a", one), ("b", kluere.Dataset.read(SAMPLES / "dev.json"))]))


def test_a_trained_model_adds_its_figures_and_curves(tmp_path):
    done = kluere_command(
        "train",
        SAMPLES / "train.json",
        "--dev",
        SAMPLES / "dev.json",
        "--tokenizer",
        SAMPLES,
        "-o",
        tmp_path / "run",
        "--layers",
        "1",
        "--hidden",
        "24",
        "--heads",
        "3",
        "--max-steps",
        "12",
        "--evaluate-every",
        "4",
        "--threads",
        "2",
    )
    assert "micro-F1" in done.stdout
    log = read_log(tmp_path / "run")
    assert [entry["step"] for entry in log if entry["kind"] == "evaluation"] == [4, 8, 12]
    assert [entry["step"] for entry in log if entry["kind"] == "training"] == list(range(1, 13))
    kluere_command(
        "explore",
        SAMPLES / "train.json",
        SAMPLES / "dev.json",
        "--model",
        tmp_path / "run",
        "-o",
        tmp_path / "page.html",
        "--threads",
        "2",
    )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    check(page)
    for heading in ("Learning curves", "Each label", "What is taken for what", "Calibration", "Coverage"):
        assert heading in page


def test_a_resumed_log_has_each_update_once(tmp_path):
    dataset = made_up.dataset(24)
    model = made_up.model(tmp_path / "tokenizer")
    options = dict(batch_sentences=8, max_steps=9, evaluate_every=3, output_directory=tmp_path)
    trainer = kluere.Trainer(model, dataset, dataset, **options)
    log = TrainingLog(tmp_path)

    def stop_after_seven(event):
        log(event)
        return event.step.step == 7

    assert not trainer.run(stop_after_seven)
    # As a stop without a word leaves it: updates after the checkpoint, a line cut short.
    with open(log.path, "a") as file:
        file.write('{"kind": "training", "step": 8, "loss": 99}\n{"kind": "trai')
    again = kluere.Trainer.resume(tmp_path, dataset, dataset)
    assert again.run(TrainingLog(tmp_path))
    entries = read_log(tmp_path)
    assert [entry["step"] for entry in entries if entry["kind"] == "training"] == list(range(1, 10))
    assert [entry["step"] for entry in entries if entry["kind"] == "evaluation"] == [3, 6, 9]
    assert all(entry["loss"] < 99 for entry in entries)
    assert read_log(tmp_path / "nowhere") == []


def test_a_model_of_other_labels_is_an_error_not_a_traceback(tmp_path):
    done = kluere_command("explore", tmp_path / "nowhere.json", "-o", tmp_path / "x.html", status=1)
    assert "nowhere.json" in done.stderr


@pytest.mark.parametrize("low, high", [(0, 1), (0, 0), (3, 3), (-0.2, 0.7), (0, 1e-9), (5, 12345), (1e6, 1e6 + 1)])
def test_ticks_hold_the_range(low, high):
    found = charts.ticks(low, high)
    assert found[0] <= low and found[-1] >= high and 2 <= len(found) <= 14
    assert found == sorted(set(found))
