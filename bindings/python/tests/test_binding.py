"""The binding itself, without NumPy or any other package: run as a whole once more with NumPy hidden."""

import array
import gc
import os
import subprocess
import sys
import threading

import pytest

import kluere
import made_up
from conftest import HERE

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨"]


def rows(count, **options):
    return made_up.examples(count, LABELS, **options)


def test_versions_agree():
    assert kluere.library_version() == kluere.__version__
    assert os.path.exists(kluere.library_path())


def test_a_context_says_what_it_chose():
    with kluere.Context(threads=2) as context:
        assert (context.device, context.threads) == ("cpu", 2)
        assert context.instruction_set in ("avx512", "avx2", "neon", "plain")
        assert context.device_name
    with pytest.raises(ValueError, match="device is 'tpu'"):
        kluere.Context(device="tpu")


def test_errors_carry_status_name_and_message(tmp_path):
    with pytest.raises(kluere.KluereError) as caught:
        kluere.Dataset.read(tmp_path / "없는 파일.json")
    assert (caught.value.status, caught.value.status_name) == (-10, "KLUERE_ERR_IO")
    assert "없는 파일.json" in caught.value.message and "\n" not in caught.value.message
    assert str(caught.value) == f"{caught.value.message} (KLUERE_ERR_IO)"


def test_wrong_arguments_are_value_errors():
    example = kluere.Example("가나다", (0, 9), (1, 2), label="no_relation")
    with pytest.raises(ValueError) as caught:
        kluere.Dataset.create([example])
    assert isinstance(caught.value, kluere.InvalidArgument)
    with pytest.raises(ValueError, match="must not be negative"):
        kluere.Dataset.create([kluere.Example("가나다", (-1, 1), (1, 2))])
    with pytest.raises(ValueError, match="thread_count: 1099511627776, expected (0|-[0-9]+) to [0-9]+$"):
        kluere.Context(threads=2**40)
    with pytest.raises(TypeError):
        kluere.Dataset.create(["not an example"])
    with pytest.raises(TypeError, match="made by the class methods"):
        kluere.Dataset("train.json")


def test_closed_objects_say_so(context):
    dataset = kluere.Dataset.create(rows(3), labels=LABELS, context=context)
    with dataset:
        assert len(dataset) == 3
    dataset.close()
    assert dataset.closed and "closed" in repr(dataset)
    with pytest.raises(kluere.KluereError, match="this Dataset is closed"):
        len(dataset)


def test_offsets_convert_between_units():
    text = "가😀b"
    assert kluere.convert_offset(text, 2, "code_points", "bytes") == 7
    assert kluere.convert_offset(text, 2, "code_points", "utf16") == 3
    assert kluere.convert_offset(text, 3, "utf16", "code_points") == 2
    with pytest.raises(kluere.InvalidArgument):
        kluere.convert_offset(text, 2, "utf16", "bytes")  # inside the surrogate pair
    with pytest.raises(kluere.InvalidArgument):
        kluere.convert_offset(text, 4, "code_points", "bytes")


def test_lone_surrogates_are_refused(vocabulary):
    with pytest.raises(kluere.InvalidArgument) as caught:
        kluere.Tokenizer(vocabulary).encode("가\ud800나")
    assert caught.value.status_name == "KLUERE_ERR_INVALID_UTF8"


def test_nul_characters_do_not_cut_names(vocabulary):
    with pytest.raises(ValueError, match="NUL"):
        kluere.Tokenizer(str(vocabulary) + "\0hidden")
    with pytest.raises(ValueError, match="NUL"):
        kluere.Dataset.create(rows(2), labels=LABELS + ["a\0b"])


def test_a_dataset_behaves_as_a_sequence(context):
    made = rows(20)
    made[3] = kluere.Example(made[3].text + "\0뒤", made[3].subject, made[3].object)  # no label, no id, a NUL
    dataset = kluere.Dataset.create(made, labels=LABELS, context=context)
    assert list(dataset) == made
    assert dataset[-1] == made[-1] and dataset[2:9:3][1] == made[5]
    assert dataset.labels == LABELS
    indices = list(dataset.label_indices)
    assert indices[3] == -1
    assert [LABELS[i] for i in indices if i >= 0] == [row.label for row in made if row.label]
    assert [row.id for row in dataset.subset([4, 4, 0])] == ["made-up-4", "made-up-4", "made-up-0"]
    for wrong in (20, -21):
        with pytest.raises(IndexError):
            dataset[wrong]
    with pytest.raises(IndexError):
        dataset.subset([-1])
    with pytest.raises(kluere.KluereError):
        dataset.subset([20])
    first, second = dataset.split(0.25, seed=1)
    assert len(first) + len(second) == 20
    assert {row.id for row in first}.isdisjoint({row.id for row in second} - {None})


def test_files_are_read_and_bad_rows_listed(tmp_path, context):
    made = rows(12)
    path = made_up.write_klue_json(tmp_path / "train.json", made)
    assert list(kluere.Dataset.read(path, labels=LABELS, context=context)) == made
    assert kluere.Dataset.read(path, labels="custom", context=context).labels[0] == "no_relation"
    path.write_text(path.read_text(encoding="utf-8").replace('"end_idx": ', '"end_idx": 9', 1), encoding="utf-8")
    with pytest.raises(kluere.KluereError, match="row"):
        kluere.Dataset.read(path, labels=LABELS, context=context)
    skipped = kluere.Dataset.read(path, labels=LABELS, bad_rows="skip", context=context)
    assert len(skipped) == 11 and skipped.skipped_count == 1
    assert "train.json" in skipped.skipped[0]
    with pytest.raises(ValueError, match="format is 'xml'"):
        kluere.Dataset.read(path, format="xml")


def test_the_klue_label_sets_differ_in_order_only():
    example = [kluere.Example("가나다", (0, 1), (1, 2), label="org:members")]
    klue = kluere.Dataset.create(example).labels
    competition = kluere.Dataset.create(example, labels="competition").labels
    assert len(klue) == 30 and sorted(klue) == sorted(competition) and klue != competition


def test_tokens_have_code_point_offsets(vocabulary):
    tokenizer = kluere.Tokenizer(vocabulary)
    text = "가나 😀 다라마"
    tokens = tokenizer.encode(text)
    assert tokenizer.token(tokens.ids[0]) == "[CLS]" and tokens.sequences[0] == -1
    pieces = [tokenizer.token(i).replace("##", "") for i, s in zip(tokens.ids, tokens.sequences) if s == 0]
    slices = [text[b:e] for (b, e), s in zip(tokens.offsets, tokens.sequences) if s == 0]
    assert [p for p in pieces if p != "[UNK]"] == [s for p, s in zip(pieces, slices) if p != "[UNK]"]
    assert "😀" in slices
    pair = tokenizer.encode("가", "나", add_special=True)
    assert pair.type_ids == [0, 0, 0, 1, 1] and pair.sequences == [-1, 0, -1, 1, -1]
    assert len(tokenizer.encode("가 나 다 라 마 바", truncate=True, max_tokens=5)) == 5
    assert tokenizer.id("[SEP]") not in tokenizer.encode("[SEP]", add_special=False).ids
    assert tokenizer.encode("[SEP]", add_special=False, allow_special=True).ids == [tokenizer.id("[SEP]")]
    assert "[SEP]" in tokenizer and "없는조각" not in tokenizer and tokenizer.token(10**6) is None
    assert tokenizer.decode(tokenizer.encode("가나 다라").ids, skip_special=True) == "가나 다라"
    added = kluere.Tokenizer(vocabulary, added_special_tokens=["[S]", "[/S]"])
    assert len(added) == len(tokenizer) + 2


def test_a_model_shows_its_shape_and_weights(tmp_path, context):
    model = made_up.model(tmp_path, context=context)
    assert model.config.family == "roberta" and model.config.hidden_size == 24 and model.config.max_tokens == 128
    assert model.labels == LABELS and len(model.tokenizer) == len(made_up.vocabulary())
    tensors = model.tensors
    assert tensors.shape("classifier.out_proj.weight") == (4, 24)
    weight = tensors["classifier.out_proj.weight"]
    assert len(weight) == 4 and len(weight[0]) == 24
    sizes = [a * (b[0] if b else 1) for a, *b in map(tensors.shape, tensors)]
    assert sum(sizes) == model.parameter_count
    assert max(tensors["roberta.embeddings.LayerNorm.weight"]) == 1
    with pytest.raises(KeyError):
        tensors["nothing"]


def test_model_encode_counts_code_points_of_the_sentence(tmp_path, context):
    model = made_up.model(tmp_path, context=context)
    example = kluere.Example("😀 가나 다라마", subject=(2, 4, "PER"), object=(5, 8))
    tokens = model.encode(example)
    token = model.tokenizer.token
    for id, (begin, end), sequence in zip(tokens.ids, tokens.offsets, tokens.sequences):
        if sequence == 0 and token(id) != "[UNK]":
            assert example.text[begin:end] == token(id).replace("##", "")
    assert [s for s in tokens.sequences].count(0) >= 3


def test_saved_models_predict_the_same(tmp_path, context):
    model = made_up.model(tmp_path / "tokenizer", context=context)
    model.save(tmp_path / "model")
    again = kluere.Model.open(tmp_path / "model", context=context)
    made = rows(5)
    assert [list(row) for row in model.predict(made)] == [list(row) for row in again.predict(made)]
    assert again.labels == LABELS and not again.tensors.newly_initialized
    (tmp_path / "model" / "mine.txt").write_text("keep me")
    with pytest.raises(kluere.KluereError, match="mine.txt"):
        model.save(tmp_path / "model")
    assert (tmp_path / "model" / "mine.txt").exists()


def test_predictions_are_tables(tmp_path, context):
    model = made_up.model(tmp_path, context=context)
    made = rows(7)
    table = model.predict(made)
    assert len(table) == 7 and all(len(row) == 4 and abs(sum(row) - 1) < 1e-5 for row in table)
    assert list(model.predict(made[2])) == list(table[2])
    from_dataset = model.predict(kluere.Dataset.create(made, labels=LABELS, context=context))
    assert [list(row) for row in from_dataset] == [list(row) for row in table]
    best = model.best(made[0], top=4)
    assert [p for _, p in best] == sorted(table[0], reverse=True) and set(dict(best)) == set(LABELS)
    logits = model.predict(made, output="logits")
    assert any(value < 0 for row in logits for value in row)
    assert len(model.predict([])) == 0
    with pytest.raises(ValueError, match="output is 'odds'"):
        model.predict(made, output="odds")


def test_long_predictions_report_progress(tmp_path, context):
    model = made_up.model(tmp_path, context=context)
    seen = []
    made = rows(1, longest=3) * 1500
    table = model.predict(made, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1024, 1500), (1500, 1500)] and list(table[0]) == list(table[1499])
    made[1400] = kluere.Example("가나다", (0, 9), (1, 2))
    with pytest.raises(kluere.InvalidArgument, match="rows from 1024 on"):
        model.predict(made)


def test_threads_share_a_model(tmp_path, context):
    model = made_up.model(tmp_path, context=context)
    made = rows(16)
    expected = [list(row) for row in model.predict(made)]
    results = []
    threads = [
        threading.Thread(target=lambda: results.append([list(row) for row in model.predict(made)])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


def test_metrics_take_plain_lists():
    metrics = kluere.compute_metrics([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1], label_names=["no_relation", "a"])
    assert metrics.rows == 3 and metrics.micro_precision == 1 and metrics.micro_recall == 0.5
    assert metrics.micro_f1 == pytest.approx(2 / 3) and metrics.accuracy == pytest.approx(2 / 3)
    assert [list(row) for row in metrics.confusion] == [[1, 0], [1, 1]]
    assert [row.support for row in metrics.per_class] == [1, 2] and metrics.per_class[1].label == "a"
    assert "micro-F1 66.67" in str(metrics) and "no_relation" in metrics.table()
    assert metrics.as_dict(per_class=True)["per_class"][1]["label"] == "a"
    for scores, labels in (([[0.5, 0.5]], [0, 1]), ([0.5], [0])):
        with pytest.raises(ValueError):
            kluere.compute_metrics(scores, labels)


def test_evaluate_leaves_hidden_rows_out(tmp_path, context):
    model = made_up.model(tmp_path, context=context)
    made = rows(10)
    hidden = [kluere.Example(r.text, r.subject, r.object) for r in made[:4]]
    metrics = kluere.evaluate(model, kluere.Dataset.create(hidden + made[4:], labels=LABELS, context=context))
    assert metrics.rows == 6
    with pytest.raises(ValueError, match="no row"):
        kluere.evaluate(model, kluere.Dataset.create(hidden, labels=LABELS, context=context))


def test_objects_free_themselves_in_any_order(tmp_path):
    own = kluere.Context(threads=1)
    model = made_up.model(tmp_path, context=own)
    dataset = made_up.dataset(8, context=own)
    trainer = kluere.Trainer(model, dataset, max_steps=2)
    own.close()
    model.close()
    dataset.close()
    trainer.step()
    exported = trainer.export_model()
    del trainer
    gc.collect()
    assert exported.labels == LABELS


def test_library_messages_reach_logging(tmp_path, caplog, context):
    """A folder without a head: the new tensors are a warning."""
    pytest.importorskip("safetensors")
    numpy = pytest.importorskip("numpy")
    from safetensors.numpy import load_file, save_file

    assert numpy is not None
    made_up.model(tmp_path / "tokenizer", context=context).save(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    kept = {name: value for name, value in load_file(path).items() if not name.startswith("classifier")}
    save_file(kept, path, {"format": "pt"})
    with caplog.at_level("WARNING", logger="kluere"):
        opened = kluere.Model.open(tmp_path / "model", context=context)
    assert "classifier.dense.weight" in opened.tensors.newly_initialized
    assert caplog.records and caplog.records[0].name == "kluere"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_is_told_off_rather_than_hung():
    code = (
        "import os, sys, kluere\n"
        "context = kluere.default_context()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    failures = 0\n"
        "    for attempt in (lambda: context.threads, kluere.Context, kluere.default_context):\n"
        "        try: attempt()\n"
        "        except kluere.KluereError as problem: failures += 'fork' in str(problem)\n"
        "    del context\n"
        "    sys.exit(failures)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(HERE.parent)}, timeout=60
    )
    assert done.returncode == 3


def numpy_hidden():
    return sys.modules.get("numpy", "absent") is None


def test_tables_are_numpy_arrays_where_numpy_is(tmp_path, context):
    table = made_up.model(tmp_path, context=context).predict(rows(3))
    if numpy_hidden():
        assert isinstance(table, list) and isinstance(table[0], array.array)
    else:
        numpy = pytest.importorskip("numpy")
        assert isinstance(table, numpy.ndarray) and table.dtype == numpy.float32 and table.shape == (3, 4)


def test_evaluation_and_ensembles_take_and_give_plain_tables():
    first = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1]]
    second = [[0.2, 0.7, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]
    labels = [0, 1, 2, 1]
    found = kluere.bootstrap(first, labels, ["accuracy"], resamples=20, samples=True)["accuracy"]
    assert found.value == 0.75 and len(found.samples) == 20 and found.low <= 0.75 <= found.high
    assert kluere.compare(first, second, labels, ["accuracy"], resamples=20)["accuracy"].difference == 0.25
    groups = kluere.compute_metrics_by_group(first, labels, [0, 0, 1, 1], ["a", "b"])
    assert groups["a"].accuracy == 1 and groups["b"].accuracy == 0.5
    assert kluere.calibration(first, labels, bins=4).rows == 4
    assert len(kluere.coverage_risk(first, labels, points=2).points) == 2
    combined = kluere.combine([first, second])
    assert [round(float(value), 6) for value in combined[0]] == [0.45, 0.45, 0.1]
    assert len(kluere.rank([first, second], labels).subsets) == 3
    assert len(kluere.search_weights([first, second], labels, folds=2).fold_weights) == 2


@pytest.mark.skipif(numpy_hidden(), reason="this is the inner run")
def test_all_of_this_works_without_numpy():
    code = "import sys; sys.modules['numpy'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", str(HERE / "test_binding.py")],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:]
