"""python -m kluere compare, ensemble and the additions to evaluate, as a user types them."""

import json

import pytest

import kluere
import made_up
from test_cli import kluere_command

numpy = pytest.importorskip("numpy")
LABELS = kluere.Dataset.create(made_up.examples(1, ["no_relation"])).labels


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Labelled sentences, two models, a folder of both, a submission and an array of the first."""
    folder = tmp_path_factory.mktemp("evaluation")
    made_up.write_klue_json(folder / "dev.json", made_up.examples(60, LABELS, seed=3))
    dataset = kluere.Dataset.read(folder / "dev.json")
    for name, seed in (("a", 1), ("b", 2)):
        model = made_up.model(folder / "tokenizer", labels=LABELS, seed=seed)
        model.save(folder / "folds" / name) if (folder / "folds").mkdir(exist_ok=True) is None else None
        if name == "a":
            table = numpy.asarray(model.predict(dataset))
            model.write_submission(folder / "a.csv", dataset, table)
            numpy.save(folder / "a.npy", table)
    return folder


def test_members_of_every_kind_are_the_same_table(files):
    done = kluere_command(
        "compare", files / "dev.json", files / "a.csv", files / "a.npy", "--json", "--threads", "1", "--resamples", "50"
    )
    found = json.loads(done.stdout)
    assert found["micro_f1"]["difference"] == 0 and found["auprc"]["p_randomization"] == 1
    done = kluere_command(
        "compare", files / "dev.json", files / "folds" / "a", files / "a.csv", "--threads", "1", "--resamples", "50"
    )
    assert "p (randomization)" in done.stdout and "60 rows" in done.stdout


def test_an_ensemble_is_ranked_and_written(files, tmp_path):
    members = [files / "folds" / "a", files / "folds" / "b", files / "a.csv"]
    done = kluere_command(
        "ensemble",
        files / "dev.json",
        *members,
        "--names",
        "a,b,again",
        "-o",
        tmp_path / "all.csv",
        "--threads",
        "1",
        "--search-weights",
        "--folds",
        "3",
    )
    assert "held out" in done.stdout and "Shapley" in done.stdout and "rank" in done.stdout
    done = kluere_command("ensemble", files / "dev.json", *members, "--json", "--vote", "hard", "--threads", "1")
    found = json.loads(done.stdout)
    assert len(found["subsets"]) == 7 and len(found["contributions"]) == 3
    kluere_command("ensemble", files / "dev.json", files / "folds", "-o", tmp_path / "mean.npy", "--threads", "1")
    dataset = kluere.Dataset.read(files / "dev.json")
    tables = [kluere.Model.open(files / "folds" / name).predict(dataset) for name in "ab"]
    assert numpy.load(tmp_path / "mean.npy") == pytest.approx(numpy.mean(tables, axis=0), abs=1e-7)
    table, _ = kluere.read_submission(tmp_path / "all.csv", dataset)
    assert numpy.asarray(table).shape == (60, 30)


def test_a_submission_may_go_by_the_ids_of_another_file(files, tmp_path):
    rows = list(kluere.Dataset.read(files / "dev.json"))[::-1]
    lines = [
        json.dumps(
            {
                "id": str(number),
                "sentence": row.text,
                **{
                    f"{role}_entity": {"start_idx": entity.begin, "end_idx": entity.end - 1, "type": entity.type}
                    for role, entity in (("subject", row.subject), ("object", row.object))
                },
            }
        )
        for number, row in enumerate(rows)
    ]
    (tmp_path / "test.jsonl").write_text("\n".join(lines), encoding="utf-8")
    text = (files / "a.csv").read_text(encoding="utf-8")
    for number, row in enumerate(rows):
        text = text.replace(f"\n{row.id},", f"\n{number},", 1)
    (tmp_path / "by_number.csv").write_text(text, encoding="utf-8")
    done = kluere_command(
        "compare",
        files / "dev.json",
        tmp_path / "by_number.csv",
        files / "a.npy",
        "--ids",
        tmp_path / "test.jsonl",
        "--json",
        "--resamples",
        "20",
    )
    assert json.loads(done.stdout)["accuracy"]["difference"] == 0


def test_evaluate_says_intervals_and_types(files):
    done = kluere_command(
        "evaluate", files / "folds" / "a", files / "dev.json", "--intervals", "--by-types", "--json", "--quiet"
    )
    found = json.loads(done.stdout)
    low, high = found["intervals"]["accuracy"]
    assert low <= found["accuracy"] <= high
    assert sum(one["rows"] for one in found["by_types"].values()) == 60
    done = kluere_command("evaluate", files / "folds" / "a", files / "dev.json", "--intervals", "--by-types", "--quiet")
    assert "95 % interval" in done.stdout and "PER-" in done.stdout


@pytest.mark.parametrize(
    "arguments, words, status",
    [
        (["ensemble", "dev.json", "a.npy", "--weights", "x"], "expected numbers", 2),
        (["ensemble", "dev.json", "a.npy", "--names", "a,b"], "2 names for 1 members", 2),
        (["ensemble", "dev.json", "a.npy", "-o", "x.txt"], ".csv or .npy", 2),
        (["ensemble", "dev.json", "nowhere"], "no model folder", 1),
        (["ensemble", "dev.json", "a.npy", "--weights=-1"], "weights[0]", 1),
        (["compare", "dev.json", "a.npy", "nowhere.csv"], "nowhere.csv", 1),
        (["compare", "dev.json", "a.npy", "a.npy", "--resamples", "0"], "resamples", 1),
    ],
)
def test_wrong_command_lines_say_why(files, arguments, words, status):
    command, *rest = arguments
    done = kluere_command(
        command,
        *(files / one if one in ("dev.json", "a.npy", "nowhere", "nowhere.csv") else one for one in rest),
        status=status,
    )
    assert words in done.stderr
