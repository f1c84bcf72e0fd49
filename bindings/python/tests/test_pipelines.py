"""Pipelines against NumPy on their members' probabilities, and the drivers that train them, killed and gone on with."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import kluere
import made_up
from kluere.pipeline import PipelineMember as Member
from test_cli import command, kluere_command

numpy = pytest.importorskip("numpy")

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨"]
PAIRS = [("PER", "ORG"), ("ORG", "DAT")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")

    def model(seed, labels=LABELS):
        # Large weights, so that members differ.
        return made_up.model(folder / "tokenizer", labels=labels, seed=seed, initializer_range=0.4)

    turned = [LABELS[i] for i in (2, 0, 3, 1)]
    return {
        "general": model(1), "other": model(2, turned), "third": model(3),
        "binary": model(4, ["no_relation", "relation"]), "binary 2": model(5, ["relation", "no_relation"]),
        "specific": model(6, ["한국어 라벨", "per:title"]), "specific 2": model(7), "narrow": model(8, LABELS[1:]),
    }


@pytest.fixture(scope="module")
def data():
    return made_up.dataset(120, LABELS, seed=3)


def table(model, data, labels=LABELS):
    """A member's probabilities in the pipeline's order; 0 for labels that it lacks."""
    own = model.predict(data)
    columns = [own[:, model.labels.index(name)] if name in model.labels else numpy.zeros(len(own)) for name in labels]
    return numpy.stack(columns, 1).astype(numpy.float32)


def mean(*tables):
    total = numpy.zeros(tables[0].shape)
    for one in tables:
        total += one.astype(numpy.float64)
    return (total / len(tables)).astype(numpy.float32)


def of_pair(data, pair):
    return numpy.array([(row.subject.type, row.object.type) == pair for row in data])


def cascaded(binary, q, rule, threshold=0.765):
    out = numpy.empty_like(q)
    for row, (p, line) in enumerate(zip(binary, q)):
        p0, p1 = p[0], float(p[1])
        if rule == "threshold" and float(p0) > threshold:
            out[row] = [p0] + [numpy.float32(p1 / 3)] * 3
        elif rule == "threshold":
            out[row] = line
        else:
            total = 0.0
            for value in line[1:]:
                total += float(value)
            out[row] = [p0] + [numpy.float32(p1 * float(value) / total) for value in line[1:]]
    return out


def test_a_mean_is_that_of_its_members_in_any_label_order(models, data):
    members = [Member(models[name]) for name in ("general", "other", "third")]
    tables = [table(member.model, data) for member in members]
    assert (kluere.Pipeline.create(members).predict(data) == mean(*tables)).all()
    hard = kluere.Pipeline.create(members, vote="hard").predict(data)
    assert (hard == kluere.combine(tables, vote="hard")).all()
    turned = kluere.Pipeline.create(members, labels=LABELS[::-1])
    assert turned.labels == LABELS[::-1] and (turned.predict(data) == mean(*tables)[:, ::-1]).all()
    assert kluere.Pipeline.create(members[:1]).info == kluere.PipelineInfo("mean", None, "soft", None)


@pytest.mark.parametrize("rule", ["threshold", "product"])
def test_a_cascade_with_specific_members(models, data, rule):
    members = [
        Member(models["binary"], "binary"), Member(models["binary 2"], "binary"), Member(models["general"]),
        Member(models["specific"], "specific", *PAIRS[0]), Member(models["specific 2"], "specific", *PAIRS[1]),
        Member(models["third"], "specific", *PAIRS[1]),
    ]
    binary = mean(*(table(models[name], data, ["no_relation", "relation"]) for name in ("binary", "binary 2")))
    threshold = float(numpy.sort(binary[:, 0])[60])  # so that the row that has it goes on
    options = dict(threshold=threshold) if rule == "threshold" else {}
    pipeline = kluere.Pipeline.create(members, kind="cascade", rule=rule, **options)
    q = table(models["general"], data)
    first, second = (of_pair(data, pair) for pair in PAIRS)
    assert first.any() and second.any()
    q[first] = table(models["specific"], data)[first]
    q[second] = mean(table(models["specific 2"], data), table(models["third"], data))[second]
    expected = cascaded(binary, q, rule, threshold)
    found = pipeline.predict(data)
    assert (found == expected).all()
    assert (pipeline.predict(list(data)) == found).all() and (pipeline.predict(data[7]) == found[7]).all()
    if rule == "threshold":
        decided = (expected[:, 1] == expected[:, 2]) & (expected[:, 2] == expected[:, 3])
        assert decided.sum() == 59, "rows above the threshold, and only these, are decided by the binary members"


def test_a_general_member_without_no_relation_and_the_reports_threshold(models, data):
    members = [Member(models["binary"], "binary"), Member(models["narrow"])]
    pipeline = kluere.Pipeline.create(members, kind="cascade")
    assert pipeline.labels == LABELS and pipeline.info == kluere.PipelineInfo("cascade", "threshold", None, 0.765)
    binary = table(models["binary"], data, ["no_relation", "relation"])
    assert (pipeline.predict(data) == cascaded(binary, table(models["narrow"], data), "threshold")).all()


def test_pairs_without_a_binary_member(models, data):
    members = [Member(models["general"]), Member(models["specific"], "specific", *PAIRS[0])]
    expected = table(models["general"], data)
    inside = of_pair(data, PAIRS[0])
    expected[inside] = table(models["specific"], data)[inside]
    assert (kluere.Pipeline.create(members, kind="pairs").predict(data) == expected).all()


def test_members_decode_and_the_folder_gives_the_same(models, data, tmp_path):
    decoded = models["general"].with_decoding(kluere.Decoding.create(4, temperature=0.5))
    members = [
        Member(models["binary"], "binary"), Member(decoded), Member(models["specific"], "specific", *PAIRS[0]),
        Member(models["third"], "specific", "", "ORG"),
    ]
    pipeline = kluere.Pipeline.create(members, kind="cascade", rule="product")
    found = pipeline.predict(data)
    plain = kluere.Pipeline.create(members, kind="cascade", rule="product", decoding="off").predict(data)
    assert not (plain == found).all()
    pipeline.save(tmp_path / "pipeline")
    pipeline.save(tmp_path / "pipeline")  # over what is there
    assert not [name for name in os.listdir(tmp_path) if "tmp" in name]
    with kluere.Pipeline.open(tmp_path / "pipeline") as again:
        assert (again.predict(data) == found).all() and again.labels == LABELS and again.info == pipeline.info
        assert [(one.role, one.subject_type, one.object_type) for one in again.members] == [
            ("binary", None, None), ("general", None, None), ("specific", "PER", "ORG"), ("specific", "", "ORG")
        ]
        assert sorted(one.folder for one in again.members) == sorted(set(os.listdir(tmp_path / "pipeline")) - {"pipeline.json"})
    (tmp_path / "pipeline" / "general-1" / "notes.txt").write_text("mine")
    with pytest.raises(kluere.KluereError, match="notes.txt"):
        pipeline.save(tmp_path / "pipeline")
    with pytest.raises(kluere.KluereError, match="subject"):
        pipeline.predict([kluere.Example("가나", (0, 9), (1, 2))])
    with pytest.raises(ValueError, match="precision"):
        pipeline.predict(data, precision="bfloat16")


def test_what_does_not_go_together_is_refused_by_both_names(models):
    general, binary = Member(models["general"]), Member(models["binary"], "binary")
    specific = Member(models["specific"], "specific", "PER", "ORG")
    for members, options, words in [
        ([general], dict(threshold=0.5), "threshold.*kind is mean"),
        ([general, specific], dict(kind="pairs", rule="product"), "rule.*kind is pairs"),
        ([general, binary], dict(kind="cascade", rule="product", threshold=0.5), "threshold.*rule is product"),
        ([general, binary], dict(kind="cascade", vote="soft"), "vote.*kind is cascade"),
        ([general, binary], dict(kind="cascade", threshold=1.5), "threshold: 1.5"),
        ([general, binary], dict(), "binary and kind is mean"),
        ([general, specific], dict(), "specific and kind is mean"),
        ([general], dict(kind="cascade"), "none is binary"),
        ([general], dict(kind="pairs"), "none is specific"),
        ([binary, specific], dict(kind="cascade"), "none is general"),
        ([general, Member(models["third"], "binary")], dict(kind="cascade"), "binary and it has 4 labels"),
        ([general, Member(models["narrow"])], dict(), r"members\[1\].*lack \"no_relation\""),
        ([Member(models["narrow"]), general], dict(), r"members\[1\]: label \"no_relation\" is none"),
        ([general, Member(models["third"], "specific", "PER")], dict(kind="pairs"), "specific and object_type"),
        ([Member(models["general"], "general", "PER", "ORG")], dict(), "subject_type.*role is general"),
        ([], dict(), "0 members"),
    ]:
        with pytest.raises(kluere.KluereError, match=words):
            kluere.Pipeline.create(members, **options)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(format_version=2), "format_version 2"), (dict(kind="ring"), 'kind "ring"'), (dict(members=7), "members"),
        (dict(threshold="much"), "threshold is a string"), (dict(threshold=0.5), "threshold.*kind is mean"),
        (dict(members=[]), "general"), (dict(members=[{"folder": "../general-0", "role": "general"}]), "inside"),
        (dict(members=[{"folder": "/etc", "role": "general"}]), "inside"), (dict(members=[{"role": "general"}]), "folder"),
        (dict(members=[{"folder": "nowhere", "role": "general"}]), "nowhere"),
        (dict(labels=["a"]), r"members\[0\]: its 4 labels lack \"a\""),
        (dict(members=[{"folder": "general-0", "role": "boss"}]), 'role "boss"'),
    ],
)
def test_a_bad_pipeline_json_is_refused_in_words(models, tmp_path, change, words):
    kluere.Pipeline.create([Member(models["general"])]).save(tmp_path / "p")
    path = tmp_path / "p" / "pipeline.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(kluere.KluereError, match=words):
        kluere.Pipeline.open(tmp_path / "p")


def test_selections(data):
    pair = data.select(subject_type="PER", object_type="ORG")
    rows = [row for row in data if (row.subject.type, row.object.type) == ("PER", "ORG")]
    assert list(pair) == rows and pair.labels == LABELS
    related = data.select(exclude_labels=["no_relation"])
    assert list(related) == [row for row in data if row.label != "no_relation"]
    some = data.select(labels=["한국어 라벨", "per:title"], narrow_labels=True)
    assert some.labels == ["no_relation", "per:title", "한국어 라벨"]
    assert [some.labels[i] for i in some.label_indices] == [row.label for row in some]
    binary = data.binary()
    assert binary.labels == ["no_relation", "relation"] and len(binary) == len(data)
    assert [binary.labels[i] for i in binary.label_indices] == [row.label for row in binary]
    assert [row.label == "no_relation" for row in binary] == [row.label == "no_relation" for row in data]
    assert [(row.text, row.subject, row.object, row.id) for row in binary] == [
        (row.text, row.subject, row.object, row.id) for row in data
    ]
    for arguments in [dict(subject_type="XYZ"), dict(labels=["no such"]), dict(exclude_labels=LABELS)]:
        with pytest.raises(kluere.KluereError):
            data.select(**arguments)
    with pytest.raises(ValueError, match="labels and exclude_labels"):
        data.select(labels=LABELS, exclude_labels=LABELS)


# ---- drivers

OPTIONS = dict(batch_sentences=8, epochs=2, checkpoint_every=2, learning_rate=1e-3)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    return lambda labels: made_up.model(folder / "tokenizer", labels=labels, layer_count=1)


def results(folder):
    """What a finished driver leaves that is to be used: models, tables, pipeline.json, plan."""
    kept = {}
    for path in sorted(Path(folder).rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith("checkpoint") for part in parts):
            kept["/".join(parts)] = path.read_bytes()
    return kept


@pytest.fixture(scope="module")
def folded(start, tmp_path_factory):
    train = made_up.dataset(60, LABELS, seed=11)
    output = tmp_path_factory.mktemp("folds") / "out"
    return train, kluere.train_folds(output, start, train, 3, options=OPTIONS)


def test_folds_are_ordinary_trainings_and_the_table_is_out_of_fold(folded, start):
    train, folds = folded
    assert folds.folds == list(train.folds(3))
    for number, (rest, inside) in enumerate(train.cross_validation(3)):
        trainer = kluere.Trainer(start(LABELS), rest, inside, **OPTIONS)
        trainer.run()
        rows = [row for row, fold in enumerate(folds.folds) if fold == number]
        own = kluere.Model.open(folds.models[number])
        expected = trainer.export_model().predict(inside)
        assert (own.predict(inside) == expected).all() and (folds.out_of_fold[rows] == expected).all()
    assert (numpy.load(folds.folder / "out-of-fold.npy") == folds.out_of_fold).all()
    tables = [kluere.Model.open(path).predict(train) for path in folds.models]
    assert (kluere.Pipeline.open(folds.folder).predict(train) == mean(*tables)).all()
    decoding, report = kluere.Decoding.fit(
        folds.out_of_fold, train.label_indices, folds=folds.folds, scores_are="probabilities"
    )
    assert report.after.loss <= report.before.loss


class Killed(Exception):
    pass


@pytest.mark.parametrize("updates", [3, 11, 17])
def test_a_driver_that_was_stopped_goes_on_to_the_same_files(folded, start, tmp_path, updates, monkeypatch):
    """Stopped without a word after so many updates: in the first, second and third fold."""
    train, whole = folded
    from kluere import folds as module

    seen = []

    class Log(module.TrainingLog):
        def __call__(self, event):
            super().__call__(event)
            if event.kind == "step":
                seen.append(event.step.step)
                if len(seen) == updates:
                    raise Killed

    monkeypatch.setattr(module, "TrainingLog", Log)
    with pytest.raises(Killed):
        kluere.train_folds(tmp_path / "out", start, train, 3, options=OPTIONS)
    assert not (tmp_path / "out" / "pipeline.json").exists()
    again = kluere.train_folds(tmp_path / "out", start, train, 3, options=OPTIONS)
    assert (again.out_of_fold == whole.out_of_fold).all()
    one, other = results(again.folder), results(whole.folder)
    assert one.keys() == other.keys() and [name for name in one if one[name] != other[name]] == []
    begun = len(seen)
    kluere.train_folds(tmp_path / "out", start, train, 3, options=OPTIONS)
    assert len(seen) == begun, "what is finished is not trained again"


def test_another_plan_in_the_same_folder_is_refused(folded, start):
    train, folds = folded
    with pytest.raises(ValueError, match="another options"):
        kluere.train_folds(folds.folder, start, train, 3, options={**OPTIONS, "epochs": 1})
    with pytest.raises(ValueError, match="another count and another folds"):
        kluere.train_folds(folds.folder, start, train, 4, options=OPTIONS)
    with pytest.raises(ValueError, match="another train"):
        kluere.train_folds(folds.folder, start, train.binary(), folds.folds, labels=LABELS, options=OPTIONS)
    for arguments, words in [
        (dict(folds=[0] * 60), "at least two"), (dict(folds=[0, 1]), "2 entries for 60 rows"),
        (dict(options=dict(output_directory="x")), "output_directory"), (dict(save="none"), "save"),
    ]:
        with pytest.raises(ValueError, match=words):
            kluere.train_folds(folds.folder / "new", start, train, **arguments)


def test_a_cascade_is_trained_with_folds_and_with_none(start, tmp_path):
    train = made_up.dataset(150, LABELS, seed=12)
    options = dict(batch_sentences=16, max_steps=2)
    found = kluere.train_cascade(
        tmp_path / "one", start, train, train.subset(range(30)), pairs=PAIRS, narrow_labels=True, options=options,
        general="relations",
    )
    assert list(found.models) == ["binary", "general", "PER-ORG", "ORG-DAT"]
    models = {name: kluere.Model.open(paths[0]) for name, paths in found.models.items()}
    pair = train.select(subject_type="PER", object_type="ORG", exclude_labels=["no_relation"], narrow_labels=True)
    assert models["PER-ORG"].labels == pair.labels and models["binary"].labels == ["no_relation", "relation"]
    trainer = kluere.Trainer(start(pair.labels), pair, **options)
    trainer.run()
    assert (trainer.export_model().predict(pair) == models["PER-ORG"].predict(pair)).all()
    q = table(models["general"], train)
    for name in PAIRS:
        q[of_pair(train, name)] = table(models["-".join(name)], train)[of_pair(train, name)]
    expected = cascaded(table(models["binary"], train, ["no_relation", "relation"]), q, "threshold")
    assert (kluere.Pipeline.open(found.folder).predict(train) == expected).all()
    folded = kluere.train_cascade(
        tmp_path / "two", start, train, kind="pairs", pairs=PAIRS[:1], folds=2, options=options, keep_checkpoints=False
    )
    assert {name: len(paths) for name, paths in folded.models.items()} == {"general": 2, "PER-ORG": 2}
    assert len(kluere.Pipeline.open(folded.folder).members) == 4
    assert not list(folded.folder.rglob("checkpoint-*"))
    for arguments, words in [
        (dict(kind="pairs"), "kind is 'pairs' and pairs"), (dict(kind="pairs", pairs=PAIRS, rule="product"), "rule.*pairs"),
        (dict(rule="product", threshold=0.5), "threshold.*product"), (dict(pairs=[("XX", "YY")]), "XX-YY"),
        (dict(save="best"), "save.*folds or held_out"), (dict(pairs=[("a/b", "c")]), "a/b"),
        (dict(kind="pairs", pairs=PAIRS, general="relations"), "general.*pairs"),
    ]:
        with pytest.raises(ValueError, match=words):
            kluere.train_cascade(tmp_path / "new", start, train, options=options, **arguments)
    with pytest.raises(ValueError, match="folds and held_out"):
        kluere.train_cascade(tmp_path / "new", start, train, train, folds=2, options=options)


def test_the_commands_kill_and_go_on(tmp_path):
    rows = made_up.examples(90, ["no_relation", "per:title", "org:members"], seed=1)
    made_up.write_klue_json(tmp_path / "train.json", rows)
    made_up.write_tokenizer(tmp_path / "tokenizer")
    shape = ["--layers", 1, "--hidden", 24, "--heads", 3, "--batch-size", 8, "--threads", 2, "--quiet"]
    common = [tmp_path / "train.json", "--tokenizer", tmp_path / "tokenizer", *shape]
    long = ["train", *common, "--folds", 2, "--max-steps", 40, "--checkpoint-every", 5]
    line, options = command(*long, "-o", tmp_path / "killed")
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, **options)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "fold-0" / "checkpoint-last").is_dir() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    refused = kluere_command(*long, "-o", tmp_path / "killed", status=2)
    assert "--resume" in refused.stderr
    done = kluere_command(*long, "-o", tmp_path / "killed", "--resume")
    assert "micro-F1" in done.stdout and "out of fold" in done.stdout
    kluere_command(*long, "-o", tmp_path / "whole")
    one, other = results(tmp_path / "killed"), results(tmp_path / "whole")
    assert one.keys() == other.keys() and [name for name in one if one[name] != other[name]] == []

    cascade = ["cascade", *common, "--max-steps", 3, "--rule", "product", "--validation-fraction", 0.3]
    done = kluere_command(*cascade, "-o", tmp_path / "cascade")
    assert "micro-F1" in done.stdout
    evaluated = kluere_command("evaluate", tmp_path / "cascade", tmp_path / "train.json", "--json", "--quiet")
    assert json.loads(evaluated.stdout)["rows"] == 90
    kluere_command("predict", tmp_path / "cascade", tmp_path / "train.json", "-o", tmp_path / "out.csv", "--quiet")
    dataset = kluere.Dataset.read(tmp_path / "train.json")
    table, _ = kluere.read_submission(tmp_path / "out.csv", dataset)
    pipeline = kluere.Pipeline.open(tmp_path / "cascade")
    own = [pipeline.labels.index(name) for name in dataset.labels]
    assert numpy.abs(pipeline.predict(dataset)[:, own] - table).max() < 1e-6
    two = ["--folds", 2]
    for arguments in ([*two, "--dev", tmp_path / "train.json"], ["--folds", 1], [*two, "--validation-fraction", 0.2]):
        refused = kluere_command("train", *common, "-o", tmp_path / "no", *arguments, status=2)
        assert "--folds" in refused.stderr
