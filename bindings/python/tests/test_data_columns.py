"""The flat columns: against the file as pandas reads it, through pyarrow and back."""

import gc
import json
import os

import pytest

import kluere
import made_up

NAMES = (
    "id sentence label source subject_word subject_start_idx subject_end_idx subject_type"
    " object_word object_start_idx object_end_idx object_type entity_pair"
).split()


@pytest.fixture(scope="module")
def real(real_data, context):
    path = real_data / "klue-re" / "klue-re-v1.1_dev.json"
    return kluere.Dataset.read(path, context=context), json.loads(path.read_text(encoding="utf-8"))


def flat(row):
    """A row of KLUE's file as the flat table has it."""
    parts = [row["guid"], row["sentence"], row["label"], row["source"]]
    for role in ("subject_entity", "object_entity"):
        parts += [row[role][part] for part in ("word", "start_idx", "end_idx", "type")]
    return parts + [f"{row['subject_entity']['type']}-{row['object_entity']['type']}"]


def test_columns_are_those_of_the_file(real):
    dataset, original = real
    columns = dataset.columns()
    assert list(columns) == NAMES
    expected = [flat(row) for row in original]
    for name, values in zip(NAMES, zip(*expected)):
        assert list(columns[name]) == list(values), name


def test_arrow_shares_the_librarys_memory(real):
    pyarrow = pytest.importorskip("pyarrow")
    dataset, original = real
    table = dataset.to_arrow()
    table.validate(full=True)
    assert table.column_names == NAMES and table.num_rows == len(original)
    assert table.schema.field("sentence").type == pyarrow.string()
    assert table.schema.field("object_end_idx").type == pyarrow.int64()
    assert [list(row.values()) for row in table.to_pylist()] == [flat(row) for row in original]
    assert pyarrow.table(dataset).equals(table)  # the PyCapsule interface


def test_pandas_and_back(real, context):
    pandas = pytest.importorskip("pandas")
    dataset, original = real
    frame = dataset.to_pandas()
    expected = pandas.DataFrame([flat(row) for row in original], columns=NAMES)
    pandas.testing.assert_frame_equal(frame, expected, check_dtype=False)
    assert list(kluere.Dataset.from_pandas(frame, context=context)) == list(dataset)
    pytest.importorskip("pyarrow")
    assert list(kluere.Dataset.from_arrow(dataset.to_arrow(), context=context)) == list(dataset)


def odd_rows():
    return [
        kluere.Example("가 나", (0, 1), (2, 3)),
        kluere.Example("😀 나", (0, 1, "PER"), (2, 3), label="no_relation", id="1", source="s", origin="0"),
    ] * 5


def test_missing_values_are_nulls(context):
    dataset = kluere.Dataset.create(odd_rows(), context=context)
    columns = dataset.columns()
    assert list(columns) == [*NAMES, "origin"]
    assert columns["label"] == [None, "no_relation"] * 5 and columns["origin"] == [None, "0"] * 5
    assert columns["entity_pair"] == ["-", "PER-"] * 5 and columns["subject_type"] == [None, "PER"] * 5
    assert list(columns["object_end_idx"]) == [2] * 10
    assert list(kluere.Dataset.from_columns(columns, context=context)) == odd_rows()
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(dataset)
    table.validate(full=True)
    assert table.to_pydict() == {name: list(values) for name, values in columns.items()}
    pytest.importorskip("pandas")
    assert list(kluere.Dataset.from_pandas(dataset.to_pandas(), context=context)) == odd_rows()


def test_columns_outlive_the_dataset_and_are_freed(context):
    pyarrow = pytest.importorskip("pyarrow")
    rows = made_up.examples(2000, ["no_relation"], seed=1)
    dataset = kluere.Dataset.create(rows, context=context)
    table = pyarrow.table(dataset)
    one = table.column("sentence")
    dataset.close()
    del table
    gc.collect()
    assert one.to_pylist() == [row.text for row in rows]
    dataset = kluere.Dataset.create(rows, context=context)

    def resident():
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def work(times):
        for _ in range(times):
            dataset.__arrow_c_array__()  # capsules that nobody takes
            pyarrow.record_batch(dataset)
            dataset.columns()
        gc.collect()

    work(20)
    before = resident()
    work(100)  # each round makes three times about 300 kB
    assert resident() - before < 20_000_000


def test_bad_columns_are_refused(context):
    good = kluere.Dataset.create(odd_rows(), context=context).columns()
    with pytest.raises(ValueError, match="subject_word is '다'"):
        kluere.Dataset.from_columns({**good, "subject_word": ["다"] * 10}, context=context)
    with pytest.raises(KeyError):
        kluere.Dataset.from_columns({"sentence": ["가"]}, context=context)
    with pytest.raises(kluere.InvalidArgument):
        kluere.Dataset.from_columns({**good, "label": ["nobody"] * 10}, context=context)
