"""Our folders opened by transformers' Auto classes, for every family and tokenizer form; and tokens added to an opened model,
against resize_token_embeddings.
"""

import json

import pytest

import kluere
import made_up
from test_model_families import AUTO, CONFIGS, FORMS, LABELS, SHAPES, kept, reference, relative, run, stored, write

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

MARKERS = ["[S]", "[/S]", "[O]"]
TEXTS = ["이순신은 조선 중기의 무신이다.", "가나 [S]다라[/S] 마바 사아자", "가나다", " 하  [O] ", "x [MASK] <mask> [SEP]"]


# ---- Opened by the Auto classes ----

TOKENIZERS = {  # form of the tokenizer -> families that have such
    "vocab.txt": ["bert", "roberta", "electra"],
    "tokenizer.json, WordPiece": ["bert", "roberta", "electra"],
    "sentencepiece.bpe.model": ["xlm_roberta"],
    "tokenizer.json, unigram": ["xlm_roberta"],
}
CASES = [(form, family) for form, families in TOKENIZERS.items() for family in families]


def tokenizer_folder(form, family, folder, unigram_models):
    if "xlm" not in family:
        made_up.write_tokenizer(folder, "roberta" if family == "roberta" else "bert")
        if form != "vocab.txt":
            saved = transformers.AutoTokenizer.from_pretrained(folder)
            saved.save_pretrained(folder)
            (folder / "vocab.txt").unlink()
            assert (folder / "tokenizer.json").is_file()
        return folder
    folder.mkdir()
    (folder / "sentencepiece.bpe.model").write_bytes(unigram_models(False).read_bytes())
    if form != "sentencepiece.bpe.model":
        transformers.XLMRobertaTokenizer.from_pretrained(folder).save_pretrained(folder)
        (folder / "sentencepiece.bpe.model").unlink()
        assert (folder / "tokenizer.json").is_file()
    return folder


@pytest.mark.parametrize("added", [False, True], ids=["", "with markers"])
@pytest.mark.parametrize("form, family", CASES, ids=[f"{form}, {family}" for form, family in CASES])
def test_auto_classes_open_our_folders(form, family, added, tmp_path, unigram_models, context):
    source = tokenizer_folder(form, family, tmp_path / "source", unigram_models)
    ours = kluere.Tokenizer(source, added_special_tokens=MARKERS if added else [], context=context)
    for task, kind in AUTO.items():
        model = kluere.Model.create(
            ours, labels=LABELS, family=family, task=task, hidden_size=24, layer_count=1, head_count=2, max_positions=64,
            input_form="entity_pair", context=context,
        )
        model.save(tmp_path / task)
        config = transformers.AutoConfig.from_pretrained(tmp_path / task)
        assert config.model_type == family.replace("_", "-") and config.vocab_size == len(ours)
        assert config.architectures == [type(kind.from_config(config)).__name__]
        opened, report = kind.from_pretrained(tmp_path / task, output_loading_info=True)
        missing = {name for name in report["missing_keys"] if "pooler" not in name}
        assert not missing and not report["unexpected_keys"] and not report["mismatched_keys"]
        if task == "classification":
            assert [config.id2label[i] for i in range(len(LABELS))] == LABELS
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / task)
        again = kluere.Model.open(tmp_path / task, task=task, context=context).tokenizer
        assert len(theirs) == len(again) == len(ours)
        for text in TEXTS:
            expected = theirs(text, return_offsets_mapping=True)
            tokens = ours.encode(text, allow_special=True)
            assert (tokens.ids, again.encode(text, allow_special=True).ids) == (expected["input_ids"],) * 2, text
            if form != "sentencepiece.bpe.model":  # there offsets are those of the sentencepiece library
                assert tokens.offsets == [tuple(o) for o in expected["offset_mapping"]], text
            pair = ours.encode(text, TEXTS[0], allow_special=True)
            assert pair.ids == theirs(text, TEXTS[0])["input_ids"]
        if added:
            assert [theirs.convert_tokens_to_ids(token) for token in MARKERS] == [ours.id(token) for token in MARKERS]
        ids = ours.encode(TEXTS[0]).ids
        predictor = kluere.Predictor(model, output="logits")
        expected = run(opened.eval(), [ids], None)
        if task == "encoder":
            assert relative(predictor.hidden_states([ids])[0], expected.last_hidden_state[0]) < 1e-5
        elif task == "classification":
            assert relative(predictor.classify([ids]), expected.logits) < 1e-5
        else:
            assert relative(predictor.mask_logits([ids], range(len(ids))), expected.logits[0]) < 1e-5


@pytest.mark.parametrize("weights", FORMS)
@pytest.mark.parametrize("form, family", CASES, ids=[f"{form}, {family}" for form, family in CASES])
def test_every_family_tokenizer_form_and_weight_form(form, family, weights, tmp_path, unigram_models, context):
    """The table of docs/huggingface.md: each cell is one of these."""
    source = tokenizer_folder(form, family, tmp_path / "source", unigram_models)
    # A folder without any configuration does not say what it is.
    kind = transformers.XLMRobertaTokenizer if form == "sentencepiece.bpe.model" else transformers.AutoTokenizer
    tokenizer = kind.from_pretrained(source)
    theirs = reference(family.replace("_", "-"), "width 12, 3 layers, gelu", "classification")
    theirs.resize_token_embeddings(len(tokenizer))
    folder = write(theirs, tmp_path / "model", family.replace("_", "-"), weights)
    for name in ("vocab.txt", "tokenizer_config.json"):
        (folder / name).unlink()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    ours = kluere.Model.open(folder, input_form="entity_pair", context=context)
    rows = [ours.tokenizer.encode(text, allow_special=True).ids for text in TEXTS]
    assert rows == [tokenizer(text)["input_ids"] for text in TEXTS]
    logits = run(theirs, rows, None).logits
    assert relative(kluere.Predictor(ours, output="logits").classify(rows), logits) < 1e-5
    ours.save(tmp_path / "saved")
    again = kluere.Model.open(tmp_path / "saved", context=context)
    assert [again.tokenizer.encode(text, allow_special=True).ids for text in TEXTS] == rows
    assert numpy.array_equal(kluere.Predictor(again).classify(rows), kluere.Predictor(ours).classify(rows))
    for path in source.iterdir():
        assert "config" in path.name or (tmp_path / "saved" / path.name).read_bytes() == path.read_bytes()


def test_every_auto_class_opens_a_classifier(tmp_path, context):
    """A trained classifier serves as encoder, and as the encoder of a masked-LM model."""
    model = made_up.model(tmp_path / "tokenizer", context=context)
    model.save(tmp_path / "saved")
    assert type(transformers.AutoModel.from_pretrained(tmp_path / "saved")) is transformers.RobertaModel
    opened = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "saved")
    states = run(opened.eval(), [[0, 7, 8, 2]], None).hidden_states[-1]
    ours = kluere.Model.open(tmp_path / "saved", task="encoder", context=context)
    assert relative(kluere.Predictor(ours).hidden_states([[0, 7, 8, 2]])[0], states[0]) < 1e-5


# ---- Tokens added to an opened model ----


@pytest.mark.parametrize("task", ["masked_lm", "classification", "encoder"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", CONFIGS)
def test_added_tokens_resize_as_in_transformers(family, shape, task, tmp_path, context):
    theirs = reference(family, shape, task)
    folder = write(theirs, tmp_path / "model", family, "one file")
    before = kluere.Model.open(folder, task=task, context=context)
    ours = kluere.Model.open(folder, task=task, added_special_tokens=MARKERS + ["[S]"], context=context)
    old = theirs.config.vocab_size
    new = [ours.tokenizer.id(token) for token in MARKERS]
    assert new == [old, old + 1, old + 2] and ours.vocabulary_size == old + 3 == len(ours.tokenizer)
    assert not ours.tensors.newly_initialized and not ours.unused_tensors
    for name in before.tensors:  # old rows keep their bits
        table = numpy.asarray(ours.tensors[name])
        assert numpy.array_equal(table[: before.tensors.shape(name)[0]], numpy.asarray(before.tensors[name])), name

    theirs.resize_token_embeddings(old + 3)
    state = theirs.state_dict()
    prefix = "" if task != "encoder" else next(iter(before.tensors)).split(".")[0] + "."  # of an encoder alone: none
    resized = {name: state[name.removeprefix(prefix)].numpy() for name in before.tensors}
    grown = [name for name in before.tensors if before.tensors.shape(name) != ours.tensors.shape(name)]
    assert {name for name, value in resized.items() if value.shape[0] == old + 3} == set(grown) and grown
    for name in grown:
        table, expected = numpy.asarray(ours.tensors[name]), resized[name]
        deviation = 1e-9**0.5 * numpy.asarray(before.tensors[name]).std(0)  # of the noise
        assert (numpy.abs(table[old:] - expected[old:]) <= 12 * deviation + 1e-6).all(), name
        if table.ndim == 2:
            assert len(numpy.unique(table[old:], axis=0)) == 3, name  # noise keeps them apart

    ours.save(tmp_path / "saved")
    again = kluere.Model.open(tmp_path / "saved", task=task, context=context)
    assert again.vocabulary_size == old + 3 and again.tokenizer.id("[O]") == old + 2
    opened, report = AUTO[task].from_pretrained(
        tmp_path / "saved", attn_implementation="eager", output_loading_info=True
    )
    assert not report["mismatched_keys"] and not report["unexpected_keys"]
    assert len(transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")) == old + 3
    rows = [[2, 9, old, 17, old + 1, 3], [8, 9, 10, 11]]
    predictor, earlier = kluere.Predictor(ours, output="logits"), kluere.Predictor(before, output="logits")
    expected = run(opened.eval(), rows, None)
    states = numpy.concatenate(predictor.hidden_states(rows))
    assert relative(states, kept(expected.hidden_states[-1], rows)) < 1e-5
    assert numpy.array_equal(predictor.hidden_states(rows[1:])[0], earlier.hidden_states(rows[1:])[0])
    if task == "classification":
        assert relative(predictor.classify(rows), expected.logits) < 1e-5
        assert numpy.array_equal(predictor.classify(rows[1:]), earlier.classify(rows[1:]))
    if task == "masked_lm":
        assert relative(predictor.mask_logits(rows, range(10)), kept(expected.logits, rows)) < 1e-5
        logits = numpy.asarray(predictor.mask_logits(rows[1:], range(4)))
        assert relative(logits[:, :old], earlier.mask_logits(rows[1:], range(4))) < 1e-6


def test_tokens_that_the_table_has_room_for_change_nothing(tmp_path, context):
    theirs = reference("bert", "width 12, 3 layers, gelu", "masked_lm")
    theirs.resize_token_embeddings(theirs.config.vocab_size + 5)
    folder = write(theirs, tmp_path / "model", "bert", "bf16")
    ours = kluere.Model.open(folder, task="masked_lm", added_special_tokens=MARKERS, context=context)
    ours.save(tmp_path / "saved")
    assert stored(tmp_path / "saved") == stored(folder)
    assert ours.vocabulary_size == len(ours.tokenizer) + 2


def test_a_trained_marker_moves(tmp_path, context):
    """New rows are weights like others."""
    model = made_up.model(tmp_path / "tokenizer", labels=LABELS, context=context)
    model.save(tmp_path / "saved")
    grown = kluere.Model.open(tmp_path / "saved", added_special_tokens=MARKERS, context=context)
    rows = made_up.examples(8, LABELS)
    trainer = kluere.Trainer(
        grown, kluere.Dataset.create(rows, labels=LABELS, context=context), batch_sentences=8, max_steps=2
    )
    trainer.run()
    trained = trainer.export_model()
    assert trained.vocabulary_size == grown.vocabulary_size and trained.tokenizer.id("[O]") is not None
    trained.save(tmp_path / "trained")
    assert json.loads((tmp_path / "trained" / "config.json").read_text())["vocab_size"] == grown.vocabulary_size


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path, context):
    theirs = reference("bert", "width 12, 3 layers, gelu", "classification")
    theirs.resize_token_embeddings(theirs.config.vocab_size - 2)
    folder = write(theirs, tmp_path / "model", "bert", "one file")
    for tokens in ([], MARKERS):
        with pytest.raises(kluere.KluereError, match="vocab_size"):
            kluere.Model.open(folder, added_special_tokens=tokens, context=context)
