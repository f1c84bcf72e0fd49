"""Statistics, comparison and audit: against pandas and SciPy on the real files, and on made-up rows."""

import json
import unicodedata
from collections import Counter

import pytest

import kluere
import made_up

TRAIN, DEV = "klue-re/klue-re-v1.1_train.json", "klue-re/klue-re-v1.1_dev.json"


def frame(path):
    """The real file as pandas reads it, in flat columns."""
    pandas = pytest.importorskip("pandas")
    return pandas.json_normalize(json.loads(path.read_text(encoding="utf-8"))).rename(
        columns={
            "subject_entity.type": "subject_type",
            "object_entity.type": "object_type",
            "subject_entity.start_idx": "subject_start",
            "subject_entity.end_idx": "subject_end",
            "object_entity.start_idx": "object_start",
            "object_entity.end_idx": "object_end",
        }
    )


@pytest.fixture(scope="module")
def real(real_data, context):
    sets = [kluere.Dataset.read(real_data / name, context=context) for name in (TRAIN, DEV)]
    return sets, [frame(real_data / name) for name in (TRAIN, DEV)]


def pairs(table):
    return table.subject_type + "-" + table.object_type


def test_statistics_equal_those_of_pandas(real):
    for dataset, table in zip(*real):
        found = dataset.statistics()
        assert (found.rows, found.labelled) == (len(table), len(table))
        assert found.sentences == table.sentence.nunique()
        for name in ("source", "subject_type", "object_type"):
            counts = table[name].value_counts().to_dict()
            assert getattr(found, name) == counts
            assert list(getattr(found, name).values()) == sorted(counts.values(), reverse=True)
        assert list(found.label) == dataset.labels
        assert {label: rows for label, rows in found.label.items() if rows} == table.label.value_counts().to_dict()
        assert found.type_pair == pairs(table).value_counts().to_dict()
        related = table[table.label != "no_relation"]
        assert found.type_pair_without_no_relation == pairs(related).value_counts().to_dict()
        assert found.label_types == table.groupby(["label", "subject_type", "object_type"]).size().to_dict()

        characters = table.sentence.str.len()
        assert list(dataset.lengths()) == characters.to_list()
        check_lengths(found.characters, characters)


def check_lengths(found, lengths):
    assert (found.minimum, found.maximum) == (lengths.min(), lengths.max())
    assert found.mean == pytest.approx(lengths.mean(), rel=1e-12)
    assert found.standard_deviation == pytest.approx(lengths.std(), rel=1e-12)
    assert found.quantiles == pytest.approx(lengths.quantile(list(found.quantiles)).to_dict(), rel=1e-12)
    assert found.rows_by_length == lengths.value_counts().to_dict()


def test_lengths_in_tokens_equal_those_of_transformers(real, real_data, context):
    pandas = pytest.importorskip("pandas")
    transformers = pytest.importorskip("transformers")
    folder = real_data / "tokenizers" / "klue-roberta"
    reference = transformers.BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=False)
    (_, dev), (_, table) = real
    tokenizer = kluere.Tokenizer(folder, context=context)
    expected = [len(ids) for ids in reference(table.sentence.to_list())["input_ids"]]
    assert list(dev.lengths(tokenizer)) == expected
    check_lengths(dev.statistics(tokenizer).tokens, pandas.Series(expected))


def test_the_reports_tables_of_types_come_out(real):
    """Two labels whose types contradict them, with the report's figures."""
    found = real[0][0].statistics()
    assert found.types_of("per:schools_attended") == {("PER", "ORG"): 80, ("PER", "LOC"): 2}
    assert found.types_of("org:top_members/employees") == {
        ("ORG", "PER"): 4195, ("ORG", "POH"): 52, ("ORG", "ORG"): 22, ("ORG", "LOC"): 13, ("ORG", "NOH"): 1,
        ("PER", "PER"): 1,
    }
    assert list(found.types_of("org:top_members/employees"))[0] == ("ORG", "PER")


def test_divergence_equals_scipys(real):
    distance = pytest.importorskip("scipy.spatial").distance
    (train, dev), (first, second) = real
    found = train.compare(dev)
    assert found.rows == (len(first), len(second))
    binned = [table.sentence.str.len() // 20 for table in (first, second)]
    related = [pairs(table[table.label != "no_relation"]) for table in (first, second)]
    series = {name: (first[name], second[name]) for name in ("label", "source", "subject_type", "object_type")}
    series.update(type_pair=(pairs(first), pairs(second)), type_pair_without_no_relation=related, characters=binned)
    assert set(found.divergence) == set(series)
    for name, (left, right) in series.items():
        shares = [side.value_counts(normalize=True) for side in (left, right)]
        values = sorted(set(shares[0].index) | set(shares[1].index))
        p, q = ([share.get(value, 0.0) for value in values] for share in shares)
        assert found.divergence[name] == pytest.approx(distance.jensenshannon(p, q, base=2) ** 2, abs=1e-12), name


def test_leakage_between_the_real_sets(real):
    (train, dev), (first, second) = real
    shared = set(first.sentence) & set(second.sentence)
    leakage = train.compare(dev).leakage
    assert leakage.sentences == len(shared) == 132
    assert leakage.first_rows == first.sentence.isin(shared).sum()
    assert leakage.second_rows == second.sentence.isin(shared).sum() == 132
    key = ["sentence", "subject_start", "subject_end", "object_start", "object_end"]
    both = second.merge(first.drop_duplicates(key)[key + ["label"]], on=key, suffixes=("", "_train"))
    assert leakage.same_label == (both.label == both.label_train).sum()
    assert leakage.other_label + leakage.hidden_label == (both.label != both.label_train).sum()
    back = dev.compare(train).leakage
    assert (back.sentences, back.first_rows, back.second_rows) == (132, leakage.second_rows, leakage.first_rows)


def test_the_competitions_test_set_is_found_to_be_the_dev_set(real, real_data, context):
    test = kluere.Dataset.read(real_data / "boostcamp-re" / "test_data.csv", context=context)
    leakage = real[0][1].compare(test).leakage
    assert leakage.second_rows == leakage.hidden_label == len(test) == 7765


def test_the_audit_of_the_real_train_set(real):
    """Figures of the real files, each counted by pandas or Python too."""
    (train, dev), (table, other) = real
    findings = train.audit(dev)
    kinds = Counter(finding.kind for finding in findings)
    key = ["sentence", "subject_start", "subject_end", "object_start", "object_end"]
    row = key + ["subject_type", "object_type", "label"]

    repeated = table.duplicated(row)
    assert [f.row for f in findings if f.kind == "duplicate"] == list(table.index[repeated])
    assert kinds["duplicate"] == 42 and table.duplicated(row, keep=False).sum() == 84

    contradicted = table.groupby(key).label.transform("nunique") > 1
    assert [f.row for f in findings if f.kind == "conflict"] == list(table.index[contradicted])
    groups = {frozenset((f.row, f.other_row)) for f in findings if f.kind == "conflict"}
    assert table[contradicted].groupby(key).ngroups == 5 and all(len(group) == 2 for group in groups)

    leaked = table.sentence.isin(set(other.sentence))
    assert sorted(f.row for f in findings if f.kind.startswith("leaked")) == list(table.index[leaked])

    prefix = table.label.str[:3].str.upper()
    wrong = prefix.isin(["PER", "ORG"]) & (prefix != table.subject_type)
    assert [f.row for f in findings if f.kind == "label_prefix"] == list(table.index[wrong])

    size = table.groupby(["label", "subject_type", "object_type"]).label.transform("size")
    assert [f.row for f in findings if f.kind == "rare_types"] == list(table.index[size < 3])

    odd = [i for i, text in enumerate(table.sentence) if not unicodedata.is_normalized("NFC", text)]
    assert [f.row for f in findings if f.kind == "not_nfc"] == odd and len(odd) == 2

    words = zip(table["subject_entity.word"], table["object_entity.word"])
    blank = [i for i, pair in enumerate(words) if any(word != word.strip() for word in pair)]
    assert [f.row for f in findings if f.kind == "blank_in_span"] == blank
    assert kinds["overlap"] == kinds["hidden_label"] == kinds["duplicate_id"] == kinds["unreadable"] == 0


def test_the_audit_knows_what_a_tokenizer_does(real, real_data, context):
    transformers = pytest.importorskip("transformers")
    folder = real_data / "tokenizers" / "klue-roberta"
    reference = transformers.BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=False)
    (_, dev), (_, table) = real
    tokenizer = kluere.Tokenizer(folder, context=context)
    # With typed markers an entity is cut out of its sentence, with the entity pair it stands there once more.
    findings = dev.audit(tokenizer=tokenizer)

    words = [table["subject_entity.word"].to_list(), table["object_entity.word"].to_list()]
    pieces = [reference(side, add_special_tokens=False)["input_ids"] for side in words]
    unknown = reference.unk_token_id
    expected = [i for i in range(len(table)) for side in pieces if unknown in side[i]]
    assert [f.row for f in findings if f.kind == "unknown_piece"] == expected and len(set(expected)) == 99

    sentences = reference(table.sentence.to_list(), add_special_tokens=False)["input_ids"]
    lengths = [len(a) + len(b) + len(c) + 4 for a, b, c in zip(*pieces, sentences)]
    findings = dev.audit(tokenizer=tokenizer, input_form="entity_pair", max_tokens=128)
    assert [f.row for f in findings if f.kind == "too_long"] == [i for i, n in enumerate(lengths) if n > 128]


def test_the_audit_lists_what_the_reader_left_out(tmp_path, context):
    rows = made_up.examples(6, ["no_relation"], seed=3)
    path = made_up.write_klue_json(tmp_path / "rows.json", rows)
    content = json.loads(path.read_text(encoding="utf-8"))
    content[2]["subject_entity"]["word"] = "다른"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    dataset = kluere.Dataset.read(path, bad_rows="skip", context=context)
    finding = dataset.audit(rare_below=0)[0]
    assert (finding.kind, finding.severity, finding.row, finding.id) == ("unreadable", "error", None, None)
    assert "row 3 (made-up-2)" in finding.message and "다른" in finding.message


def test_statistics_of_rows_without_types_and_labels(context):
    dataset = kluere.Dataset.create(
        [kluere.Example("가 나", (0, 1), (2, 3, "PER")), kluere.Example("가 나 다", (0, 1), (2, 3))],
        labels=["no_relation", "또"], context=context,
    )
    found = dataset.statistics()
    assert found.label == {"no_relation": 0, "또": 0, None: 2} and found.labelled == 0
    assert found.type_pair == {"-PER": 1, None: 1} and found.subject_type == {None: 2}
    assert found.label_types == {(None, None, None): 1, (None, None, "PER"): 1}
    assert found.characters.standard_deviation == pytest.approx(2**0.5) and found.tokens is None
    assert dataset.compare(dataset).divergence["label"] is None
    assert json.loads(json.dumps(found.as_dict()))["label"] == [["no_relation", 0], ["또", 0], [None, 2]]
    assert "가" not in str(found) and "no_relation" in str(found) and "sentences" in str(dataset.compare(dataset))


def test_bad_arguments_of_the_audit(context):
    dataset = made_up.dataset(4, context=context)
    with pytest.raises(ValueError, match="input_form"):
        dataset.audit(input_form="other")
    with pytest.raises(kluere.InvalidArgument, match="max_tokens"):
        dataset.audit(max_tokens=0)
    with pytest.raises(ValueError, match="rare_below: -1, expected 0 to 4294967295"):
        dataset.audit(rare_below=-1)
    dataset.close()
    with pytest.raises(kluere.KluereError, match="closed"):
        dataset.statistics()


def test_nfc_is_what_unicodedata_says(context):
    """Every character of the blocks that Korean text uses, after a syllable that some of them would join."""
    points = [*range(0x20, 0x3400), *range(0xAC00, 0xD7FC, 61), *range(0x4E00, 0x9FFF, 97), *range(0xF900, 0x10000, 3)]
    texts = [f"가 나{chr(point)}다" for point in points if unicodedata.category(chr(point)) != "Cn"]
    rows = [kluere.Example(text, (0, 1), (2, 3), id=str(i)) for i, text in enumerate(texts)]
    findings = kluere.Dataset.create(rows, context=context).audit()
    expected = [i for i, text in enumerate(texts) if not unicodedata.is_normalized("NFC", text)]
    assert [f.row for f in findings if f.kind == "not_nfc"] == expected and len(expected) > 100
