"""Cleaning, writing and splitting: on the real files against pandas and scikit-learn, and on made-up rows."""

import ast
import csv
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import kluere
import made_up
from test_data_statistics import DEV, TRAIN, frame

KEY = ["sentence", "subject_start", "subject_end", "object_start", "object_end"]
REPORTS_LIST = [12829, 32299, 11511, 3296, 25094]  # what the team's notebook drops


@pytest.fixture(scope="module")
def train(real_data, context):
    return kluere.Dataset.read(real_data / TRAIN, context=context)


@pytest.fixture(scope="module")
def table(real_data):
    return frame(real_data / TRAIN)


def ids(dataset):
    return dataset.columns()["id"]


def same(a, b):
    """Row for row, compared as written: much faster than row objects."""
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("a", a), ("b", b)):
            rows.write(Path(folder) / name, format="json_lines")
        return (Path(folder) / "a").read_bytes() == (Path(folder) / "b").read_bytes()


def test_the_duplicate_step_leaves_what_the_report_has(train, table):
    cleaned, log = train.clean()
    assert len(cleaned) == 32_428
    kept = table.drop_duplicates(KEY + ["subject_type", "object_type", "label"])
    assert ids(cleaned) == kept.guid.to_list()
    assert (log.rows_before, log.rows_after, len(log)) == (32_470, 32_428, 42)
    assert {(change.step, change.what) for change in log} == {("duplicates", "removed")}
    assert same(cleaned.restore(log), train)
    assert same(cleaned.restore(kluere.CleaningLog(log.json).json), train)
    assert len(train.clean(duplicates=False)[0]) == 32_470


@pytest.mark.parametrize("rule", ["keep_first", "majority", "prefer_relation", "drop_all"])
def test_conflicts_are_resolved_as_pandas_would(train, table, rule):
    cleaned, log = train.clean(duplicates=False, conflicts=rule)
    contradicted = table.groupby(KEY).label.transform("nunique") > 1
    keep = ~contradicted
    for _, group in table[contradicted].groupby(KEY):
        labels = group.label
        if rule == "keep_first":
            keep[group.index] = labels == labels.iloc[0]
        elif rule == "majority":  # one conflict has three rows, two of them equal; the others are ties
            keep[group.index] = labels == max(labels.unique(), key=list(labels).count)
        elif rule == "prefer_relation":
            keep[group.index] = labels != "no_relation"
    kept = table[keep]
    assert ids(cleaned) == kept.guid.to_list() and len(kept) < len(table)
    assert same(cleaned.restore(log), train)
    left = {finding.kind for finding in cleaned.audit()}
    assert ("conflict" in left) == (rule == "prefer_relation")  # two relations contradict each other once


def test_the_reports_explicit_list(real_data, context):
    rows = kluere.Dataset.read(real_data / "boostcamp-re" / "train.csv", context=context)
    cleaned, log = rows.clean(remove_ids=REPORTS_LIST)
    assert len(cleaned) == 32_423 and not [f for f in cleaned.audit() if f.kind == "conflict"]
    assert Counter(change.step for change in log) == {"duplicates": 42, "list": 5}
    assert same(cleaned.restore(log), rows)
    with pytest.raises(kluere.InvalidArgument, match="no row has the id"):
        rows.clean(remove_ids=["nobody"])


def test_the_teams_map_of_types(train, table):
    """Its corrections, written down once more as the team's code applies them one after the other."""
    cleaned, log = train.clean(duplicates=False, types="competition_team")
    types = {"subject": table.subject_type.to_list(), "object": table.object_type.to_list()}
    rules = [
        ("subject", "org:top_members/employees", "PER", "ORG"), ("subject", "org:members", "PER", "ORG"),
        ("subject", "org:place_of_headquarters", "PER", "ORG"),
    ]
    to_poh = {
        "org:top_members/employees": "ORG LOC NOH", "org:members": "PER NOH DAT", "org:product": "*", "per:title": "*",
        "org:alternate_names": "DAT", "per:employee_of": "DAT NOH", "org:place_of_headquarters": "DAT NOH PER",
        "per:product": "*", "per:children": "LOC NOH DAT ORG", "per:place_of_residence": "ORG DAT",
        "per:alternate_names": "ORG LOC", "per:other_family": "LOC ORG", "per:colleagues": "ORG DAT LOC",
        "per:origin": "DAT PER NOH", "per:spouse": "LOC ORG DAT", "per:parents": "LOC DAT NOH", "per:religion": "LOC",
        "org:political/religious_affiliation": "LOC PER DAT",
    }
    rules += [("object", "org:alternate_names", "PER", "ORG"), ("object", "per:schools_attended", "LOC", "ORG")]
    rules += [("object", label, old, "POH") for label, olds in to_poh.items() for old in olds.split()]
    rules += [("object", f"per:date_of_{what}", "*", "DAT") for what in ("birth", "death")]
    rules += [("object", f"per:place_of_{what}", "*", "LOC") for what in ("birth", "death")]
    for i, label in enumerate(table.label):
        for role, of, old, new in rules:
            if of == label and old in ("*", types[role][i]):
                types[role][i] = new
    assert cleaned.columns()["subject_type"] == types["subject"]
    assert cleaned.columns()["object_type"] == types["object"]
    changed = sum(new != old for new, old in zip(types["subject"] + types["object"],
                                                 table.subject_type.to_list() + table.object_type.to_list()))
    assert len(log) == changed > 100
    assert same(cleaned.restore(log), train)
    found = cleaned.statistics()
    assert found.types_of("per:schools_attended") == {("PER", "ORG"): 82}
    assert found.types_of("org:top_members/employees") == {("ORG", "PER"): 4196, ("ORG", "POH"): 88}


def test_types_by_majority_and_by_a_list(train, table):
    cleaned, log = train.clean(duplicates=False, types="majority", majority_share=0.97)
    expected = {"subject_type": table.subject_type.copy(), "object_type": table.object_type.copy()}
    for label, rows in table[table.label != "no_relation"].groupby("label"):
        for role, types in expected.items():
            counts = rows[role].value_counts()
            if counts.iloc[0] >= 0.97 * counts.sum():
                types[rows.index] = counts.index[0]
    assert cleaned.columns()["subject_type"] == expected["subject_type"].to_list()
    assert cleaned.columns()["object_type"] == expected["object_type"].to_list()
    assert same(cleaned.restore(log), train)

    mine = [kluere.TypeCorrection("per:title", "object", None, "TITLE"),
            kluere.TypeCorrection("per:title", "object", "POH", "never")]
    cleaned, log = train.clean(duplicates=False, types=mine)
    assert cleaned.statistics().types_of("per:title") == {("PER", "TITLE"): 2103}
    change = next(iter(log))
    assert (change.step, change.what, change.after) == ("types", "object_type", "TITLE") and "list" in change.why
    assert same(cleaned.restore(log), train)


def test_a_log_of_other_rows_is_refused(train):
    cleaned, log = train.clean()
    other = train.subset(range(len(cleaned)))
    for text, reason in (
        (log.json, "not of the cleaning"), ("{}", "has no rows_before"), ("[1", "log: "),
        (log.json.replace('"removed"', '"eaten"', 1), "no change"), (log.json.replace('"row":', '"raw":', 1), "lacks"),
        (log.json.replace('"end_idx":', '"end_idx":9', 1), "log: "),
    ):
        with pytest.raises(kluere.KluereError, match=reason):
            (other if reason == "not of the cleaning" else cleaned).restore(text)
    with pytest.raises(kluere.KluereError, match="rows before"):
        train.restore(log)


def test_bad_arguments_of_cleaning(context):
    rows = made_up.dataset(6, context=context)
    for options in (dict(conflicts="fight"), dict(types="guess"), dict(types="majority", majority_share=0.5),
                    dict(types=[kluere.TypeCorrection("a", "both", None, "b")])):
        with pytest.raises(ValueError):
            rows.clean(**options)
    with pytest.raises(kluere.InvalidArgument, match="none of the 6 rows"):
        rows.clean(remove_ids=ids(rows))


# ---- Writing


def test_files_come_back_as_they_were(real_data, train, tmp_path, context):
    """Byte for byte: KLUE's JSON and both of the competition's files."""
    for name, written in ((TRAIN, "a.json"), (DEV, "b.json"), ("boostcamp-re/train.csv", "c.csv"),
                          ("boostcamp-re/test_data.csv", "d.csv")):
        kluere.Dataset.read(real_data / name, context=context).write(tmp_path / written)
        original, copy = (path.read_bytes() for path in (real_data / name, tmp_path / written))
        assert copy == original or copy == original + b"\n", name


def test_the_flat_table_of_the_report(real_data, tmp_path, context):
    pandas = pytest.importorskip("pandas")
    source = real_data / "boostcamp-re" / "train.csv"
    rows = kluere.Dataset.read(source, context=context)
    rows.write(tmp_path / "flat.csv", format="flat_csv")
    flat = pandas.read_csv(tmp_path / "flat.csv", keep_default_na=False)
    given = pandas.read_csv(source, keep_default_na=False)
    assert list(flat.columns) == (
        "id sentence label source subject_word subject_start_idx subject_end_idx subject_type"
        " object_word object_start_idx object_end_idx object_type entity_pair"
    ).split()
    for column in ("id", "sentence", "label", "source"):
        assert flat[column].equals(given[column])
    for role in ("subject", "object"):
        cells = [ast.literal_eval(cell) for cell in given[f"{role}_entity"]]
        for part in ("word", "start_idx", "end_idx", "type"):
            assert flat[f"{role}_{part}"].to_list() == [cell[part] for cell in cells]
    assert (flat.entity_pair == flat.subject_type + "-" + flat.object_type).all()
    assert same(kluere.Dataset.read(tmp_path / "flat.csv", context=context), rows)


NASTY = [
    "it's", 'say "x"', "both ' and \"", "back\\slash", "tab\tand\r\nline", "comma, colon: x", "\u200b\u2028\xa0",
    "𐍈가\u0301",
]


@pytest.mark.parametrize("format, name", [("klue_json", "x.json"), ("json_lines", "x.jsonl"),
                                          ("competition_csv", "x.csv"), ("flat_csv", "x.csv")])
def test_nasty_texts_survive_every_format(tmp_path, context, format, name):
    labels = ["no_relation", "내 라벨"]
    rows = [kluere.Example(f"{word} 나{word}", (0, len(word), "X,Y" if i % 2 else None), (len(word) + 1, len(word) + 2, "O"),
                           label=labels[i % 2] if i % 3 else None, id=f"{word}{i}", source=word if i % 2 else None,
                           origin=f"{word}0" if i % 4 == 1 else None) for i, word in enumerate(NASTY)]
    dataset = kluere.Dataset.create(rows, labels=labels, context=context)
    dataset.write(tmp_path / name, format=format)
    assert list(kluere.Dataset.read(tmp_path / name, labels=labels, format=format, context=context)) == rows
    assert list(kluere.Dataset.read(tmp_path / name, labels=labels, context=context)) == rows
    if format == "competition_csv":
        with open(tmp_path / name, encoding="utf-8", newline="") as file:
            for written, row in zip(csv.DictReader(file), rows):
                assert written["subject_entity"] == repr(
                    {"word": row.subject_text, "start_idx": 0, "end_idx": row.subject.end - 1,
                     "type": row.subject.type or ""})


def test_what_cannot_be_written_is_said(tmp_path, context):
    rows = made_up.dataset(3, context=context)
    for path, format, problem in ((tmp_path / "x.txt", "auto", "ends in none"), (tmp_path / "no" / "x.csv", "auto", "No such"),
                                  (tmp_path / "x", "xml", "format is 'xml'")):
        with pytest.raises((ValueError, kluere.KluereError), match=problem):
            rows.write(path, format=format)


@pytest.mark.parametrize("change, problem", [
    (lambda cells: cells.__setitem__(5, "x"), "subject_start_idx is"), (lambda cells: cells.__setitem__(6, "999"), "outside"),
    (lambda cells: cells.__setitem__(4, "다른"), "its word says"), (lambda cells: cells.pop(), "12 fields"),
])
def test_bad_rows_of_the_flat_table_are_named(tmp_path, context, change, problem):
    path = tmp_path / "flat.csv"
    made_up.dataset(3, context=context).write(path, format="flat_csv")
    with open(path, encoding="utf-8", newline="") as file:
        content = list(csv.reader(file))
    change(content[2])
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(content)
    with pytest.raises(kluere.KluereError, match=rf"flat.csv: row 2.*{problem}"):
        kluere.Dataset.read(path, labels="custom", context=context)
    assert kluere.Dataset.read(path, labels="custom", bad_rows="skip", context=context).skipped_count == 1


# ---- Splits


def spread(folds, values):
    """Largest difference between a fold's rows of a value and an equal share of them."""
    counts = defaultdict(Counter)
    for fold, value in zip(folds, values):
        counts[value][int(fold)] += 1
    number = max(map(int, folds)) + 1
    return max(abs(of[fold] - sum(of.values()) / number) for of in counts.values() for fold in range(number))


def test_folds_are_alike_and_share_no_sentence(train, table):
    model_selection = pytest.importorskip("sklearn.model_selection")
    train, table = train.subset(range(8000)), table[:8000]
    folds = train.folds(5, seed=7)
    assert len(set(zip(table.sentence, map(int, folds)))) == table.sentence.nunique()
    theirs = [0] * len(table)
    splitter = model_selection.StratifiedGroupKFold(5, shuffle=True, random_state=7)
    for number, (_, inside) in enumerate(splitter.split(table, table.label, table.sentence)):
        for row in inside:
            theirs[row] = number
    triples = list(zip(table.label, table.subject_type, table.object_type))
    for values in (table.label, triples, [0] * len(table)):
        assert spread(folds, values) <= max(spread(theirs, values), 8)
    assert spread(folds, table.label) < 8 and max(Counter(map(int, folds)).values()) < 1.01 * len(table) / 5
    assert list(train.folds(5, seed=7)) == list(folds) != list(train.folds(5, seed=8))


def test_cross_validation_covers_every_row_once(context):
    rows = made_up.dataset(60, context=context)
    seen = []
    for training, validation in rows.cross_validation(3, stratify="label"):
        assert len(training) + len(validation) == 60 and not set(ids(training)) & set(ids(validation))
        seen += ids(validation)
    assert sorted(seen) == sorted(ids(rows))


def test_a_stratified_split_has_the_shares_of_the_whole(train):
    first, second = train.split_stratified(0.2, seed=1)
    assert abs(len(second) - 0.2 * len(train)) < 10 and len(first) + len(second) == len(train)
    assert first.compare(second).leakage.sentences == 0
    whole, part = train.statistics().label, second.statistics().label
    assert all(abs(part[label] - 0.2 * whole[label]) < 5 for label in whole)
    random = train.split(0.2, seed=1)[1]
    assert second.compare(train).divergence["type_pair"] < random.compare(train).divergence["type_pair"]


def test_a_validation_set_that_looks_like_dev(train, real_data, context):
    """no_relation has 29.4 % of train and 59.6 % of dev."""
    dev = kluere.Dataset.read(real_data / DEV, context=context)
    rest, validation = train.split_stratified(0.1, like=dev)
    assert train.compare(dev).divergence["label"] > 0.12
    assert validation.compare(dev).divergence["label"] < 1e-4
    assert len(rest) + len(validation) == len(train) and abs(len(validation) - 3247) < 20
    assert rest.compare(validation).leakage.sentences == 0
    shares = {"no_relation": 3, "per:title": 1}
    _, chosen = train.split_stratified(0.1, label_shares=shares)
    counts = chosen.statistics().label
    assert abs(counts["no_relation"] - 2435) < 60 and abs(counts["per:title"] - 812) < 60
    with pytest.raises(kluere.InvalidArgument, match="per:place_of_death.*there are 40"):
        train.split_stratified(0.5, label_shares={"per:place_of_death": 1})


def test_rows_stay_with_the_row_they_were_made_from(context):
    base = made_up.examples(40, ["no_relation", "per:title"], seed=4)
    made = [kluere.Example(f"{row.text} {i}", row.subject, row.object, label=row.label, id=f"{row.id}~{i}", origin=row.id)
            for row in base for i in range(3)]
    rows = kluere.Dataset.create(base + made, labels=["no_relation", "per:title"], context=context)
    orphans = kluere.Dataset.create(made, labels=["no_relation", "per:title"], context=context)
    for dataset in (rows, orphans):
        parts = [dataset.split(0.3, seed=2), dataset.split_stratified(0.3)]
        parts += dataset.cross_validation(4)
        for first, second in parts:
            roots = [{row.origin or row.id for row in side} for side in (first, second)]
            assert not roots[0] & roots[1] and all(roots)


def test_small_and_bad_splits(context):
    rows = made_up.dataset(4, context=context)
    assert sorted(map(int, rows.folds(4))) == [0, 1, 2, 3]
    for problem in (lambda: rows.folds(5), lambda: rows.folds(1), lambda: rows.folds(-1), lambda: rows.folds(2**33),
                    lambda: rows.folds(2, stratify=["colour"]), lambda: rows.split_stratified(0.0),
                    lambda: rows.split_stratified(float("nan")), lambda: rows.split_stratified(0.5, label_shares={}),
                    lambda: rows.split_stratified(0.5, label_shares={"no_relation": -1}),
                    lambda: rows.split_stratified(0.5, label_shares={"no_relation": float("inf")}),
                    lambda: rows.split_stratified(0.5, label_shares={"nobody": 1}),
                    lambda: rows.split_stratified(0.5, label_shares={"no_relation": 1}, like=rows)):
        with pytest.raises(ValueError):
            problem()
    first, second = rows.split_stratified(0.01)
    assert (len(first), len(second)) == (3, 1)
    same_sentence = kluere.Dataset.create(
        [kluere.Example("가 나 다", (0, 1), (2 * i, 2 * i + 1)) for i in (1, 2)], context=context)
    with pytest.raises(ValueError):
        same_sentence.split_stratified(0.5)


def test_json_lines_keep_only_what_there_is(tmp_path, context):
    kluere.Dataset.create([kluere.Example("가 나", (0, 1), (2, 3))], context=context).write(tmp_path / "x.jsonl")
    assert json.loads((tmp_path / "x.jsonl").read_text(encoding="utf-8")) == {
        "sentence": "가 나", "subject_entity": {"word": "가", "start_idx": 0, "end_idx": 0},
        "object_entity": {"word": "나", "start_idx": 2, "end_idx": 2}}
