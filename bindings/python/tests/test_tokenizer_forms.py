"""Tokenizers in the forms that transformers saves, ids and offsets against the tokenizers library itself."""

import json

import pytest

import kluere
from tokenizer_texts import SPECIAL_TEXTS, clean, differences, real_texts, sentencepiece_differences

transformers = pytest.importorskip("transformers")
backends = pytest.importorskip("tokenizers")


@pytest.fixture(scope="module", params=["klue-bert-base", "klue-roberta"])
def saved(request, real_data, tmp_path_factory):
    """A real vocabulary as transformers saves it today: tokenizer.json without a vocab.txt."""
    folder = tmp_path_factory.mktemp(request.param)
    transformers.BertTokenizerFast.from_pretrained(real_data / "tokenizers" / request.param).save_pretrained(folder)
    assert (folder / "tokenizer.json").is_file() and not (folder / "vocab.txt").exists()
    return folder


def test_tokenizer_json_of_real_vocabularies(saved, real_data, nasty_strings):
    theirs = backends.Tokenizer.from_file(str(saved / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    for ours in (kluere.Tokenizer(saved), kluere.Tokenizer(saved / "tokenizer.json")):
        assert differences(ours, theirs, clean(nasty_strings))[:3] == []
    assert differences(ours, theirs, real_texts(real_data))[:3] == []
    for first, second in zip(nasty_strings[:50], nasty_strings[50:]):
        if clean([first, second]) == [first, second]:
            pair, expected = ours.encode(first, second, allow_special=True), theirs.encode(first, second)
            assert (pair.ids, pair.type_ids, pair.offsets) == (expected.ids, expected.type_ids, expected.offsets)
            assert ours.decode(pair.ids, clean_up=True) == theirs.decode(expected.ids, skip_special_tokens=False)


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("strip_accents", [False, True, None])
@pytest.mark.parametrize("handle_chinese_chars", [False, True])
def test_every_bert_normalizer(lowercase, strip_accents, handle_chinese_chars, saved, nasty_strings, tmp_path):
    theirs = backends.Tokenizer.from_file(str(saved / "tokenizer.json"))
    theirs.normalizer = backends.normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=handle_chinese_chars
    )
    theirs.add_tokens([backends.AddedToken("모자", lstrip=True, normalized=False), "사과나무"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = kluere.Tokenizer(tmp_path / "tokenizer.json")
    texts = clean(nasty_strings) + ["사과나무와 사과나 무 모자 [SEP] Ärger 中文字"]
    assert differences(ours, theirs, texts)[:3] == []


def test_files_come_out_as_they_went_in(saved, tmp_path, context):
    model = kluere.Model.create(kluere.Tokenizer(saved), hidden_size=16, layer_count=1, head_count=1, context=context)
    model.save(tmp_path / "saved")
    for path in saved.iterdir():
        assert (tmp_path / "saved" / path.name).read_bytes() == path.read_bytes(), path.name
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    text = "이순신은 조선 중기의 무신이다."
    assert again(text)["input_ids"] == kluere.Model.open(tmp_path / "saved", context=context).tokenizer.encode(text).ids


REFUSED = {  # change of a good file -> what the message names
    "byte-level BPE": (lambda d: d["model"].update(type="BPE"), "BPE"),
    "WordLevel": (lambda d: d["model"].update(type="WordLevel"), "WordLevel"),
    "another normalizer": (lambda d: d.update(normalizer={"type": "NFC"}), "NFC"),
    "no normalizer": (lambda d: d.update(normalizer=None), "normalizer"),
    "another splitter": (lambda d: d.update(pre_tokenizer={"type": "ByteLevel"}), "ByteLevel"),
    "another post-processor": (lambda d: d.update(post_processor={"type": "ByteLevel"}), "ByteLevel"),
    "another decoder": (lambda d: d.update(decoder={"type": "Metaspace"}), "Metaspace"),
    "clean_text off": (lambda d: d["normalizer"].update(clean_text=False), "clean_text"),
    "no vocabulary": (lambda d: d["model"].pop("vocab"), "vocab"),
    "empty vocabulary": (lambda d: d["model"].update(vocab={}), "vocab"),
    "a hole among the ids": (lambda d: d["model"]["vocab"].update(나무=40000), "40000"),
    "an id twice": (lambda d: d["model"]["vocab"].update({"[PAD]": 5}), "vocab"),
    "a negative id": (lambda d: d["model"]["vocab"].update({"[PAD]": -1}), "-1"),
    "an id that is no number": (lambda d: d["model"]["vocab"].update({"[PAD]": "0"}), "vocab"),
    "a piece with a line break": (lambda d: d["model"]["vocab"].update({"a\nb": len(d["model"]["vocab"])}), "line break"),
    "an unknown token that is not there": (lambda d: d["model"].update(unk_token="<none>"), "<none>"),
    "an added token without an id": (lambda d: d["added_tokens"][0].pop("id"), "added_tokens"),
    "an added token with another id": (lambda d: d["added_tokens"][0].update(id=77), "77"),
    "a template with B first": (lambda d: d["post_processor"]["pair"].reverse(), "A before B"),
    "a template without its token": (lambda d: d["post_processor"].update(special_tokens={}), "[CLS]"),
    "a template with a huge id": (
        lambda d: d["post_processor"]["special_tokens"]["[CLS]"].update(ids=[2**31 - 1]), "2147483647"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name, saved, tmp_path):
    change, named = REFUSED[name]
    document = json.loads((saved / "tokenizer.json").read_text(encoding="utf-8"))
    change(document)
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(kluere.KluereError) as caught:
        kluere.Tokenizer(tmp_path / "tokenizer.json")
    assert named in str(caught.value), caught.value
    assert caught.value.status_name in ("KLUERE_ERR_UNSUPPORTED", "KLUERE_ERR_BAD_FORMAT")


# ---- SentencePiece ----

def test_trained_sentencepiece_model(trained, real_data, nasty_strings):
    folder, theirs = trained
    texts = clean(nasty_strings) + SPECIAL_TEXTS + real_texts(real_data)
    plain = kluere.Tokenizer(folder / "spiece.model")
    assert sentencepiece_differences(plain, theirs, texts)[:3] == []
    shifted = kluere.Tokenizer(folder / "sentencepiece.bpe.model")
    assert sentencepiece_differences(shifted, theirs, texts, lambda id: 3 if id == 0 else id + 1)[:3] == []
    for text in texts[:2000]:
        ids = theirs.encode(text)
        assert plain.decode(ids) == theirs.decode(ids), text
    assert [shifted.id(token) for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")] == [0, 1, 2, 3, len(theirs) + 1]


def test_real_sentencepiece_model(real_data, nasty_strings):
    sentencepiece = pytest.importorskip("sentencepiece")
    path = real_data / "tokenizers" / "sentencepiece-ke-t5" / "sentencepiece.model"
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    texts = clean(nasty_strings) + SPECIAL_TEXTS + real_texts(real_data)
    ours = kluere.Tokenizer(path)
    assert sentencepiece_differences(ours, theirs, texts)[:3] == []
    for text in texts[:2000]:
        ids = theirs.encode(text)
        assert ours.decode(ids) == theirs.decode(ids), text


def test_an_encoder_needs_tokens_that_t5_does_not_have(real_data, context):
    ours = kluere.Tokenizer(real_data / "tokenizers" / "sentencepiece-ke-t5" / "sentencepiece.model")
    with pytest.raises(kluere.KluereError, match="an encoder needs them"):
        kluere.Model.create(ours, hidden_size=16, layer_count=1, head_count=1, context=context)


def test_xlm_roberta_folder(trained, tmp_path, context):
    """Special tokens around one text and two, a model made with it, saved, and opened by transformers."""
    folder, theirs = trained
    source = tmp_path / "source"
    source.mkdir()
    (source / "sentencepiece.bpe.model").write_bytes((folder / "spiece.model").read_bytes())
    ours = kluere.Tokenizer(source)
    first, second = ([id + 1 for id in theirs.encode(text)] for text in ("이순신은 장군이다", "조선 중기의 무신"))
    assert ours.encode("이순신은 장군이다").ids == [0] + first + [2]
    pair = ours.encode("이순신은 장군이다", "조선 중기의 무신")
    assert pair.ids == [0] + first + [2, 2] + second + [2] and set(pair.type_ids) == {0}
    model = kluere.Model.create(
        ours, family="xlm_roberta", input_form="entity_pair", hidden_size=16, layer_count=1, head_count=1, context=context,
    )
    example = kluere.Example("이순신은 조선 중기의 무신이다.", (0, 3, "PER"), (5, 7, "LOC"))
    expected = model.predict(example)
    model.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "sentencepiece.bpe.model").read_bytes() == (folder / "spiece.model").read_bytes()
    again = kluere.Model.open(tmp_path / "saved", context=context)
    assert again.predict(example).tolist() == expected.tolist()
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert type(opened) is transformers.XLMRobertaForSequenceClassification
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert tokenizer("이순신은 장군이다")["input_ids"] == [0] + first + [2]


def test_bpe_models_are_refused_by_name(real_data, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    (tmp_path / "text.txt").write_text("\n".join(real_texts(real_data, every=400)), encoding="utf-8")
    for kind in ("bpe", "word", "char"):
        sentencepiece.SentencePieceTrainer.train(
            input=str(tmp_path / "text.txt"), model_prefix=str(tmp_path / "spiece"), vocab_size=1200, minloglevel=2,
            model_type=kind, hard_vocab_limit=False,
        )
        with pytest.raises(kluere.KluereError, match=kind.upper()):
            kluere.Tokenizer(tmp_path / "spiece.model")


def test_damaged_sentencepiece_models_are_refused_or_work(trained):
    """Every cut and thousands of changed bytes: a message or a tokenizer, nothing else."""
    import random

    folder, _ = trained
    good = (folder / "spiece.model").read_bytes()
    path, generator = folder / "damaged.model", random.Random(3)
    opened = 0
    for number in range(600):
        damaged = bytearray(good)
        if number % 3 == 0:
            del damaged[generator.randrange(len(good)) :]
        else:
            for _ in range(generator.choice([1, 1, 8, 200])):
                damaged[generator.randrange(len(good))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            tokenizer = kluere.Tokenizer(path)
        except kluere.KluereError as problem:
            assert problem.status_name in ("KLUERE_ERR_BAD_FORMAT", "KLUERE_ERR_UNSUPPORTED"), problem
            continue
        opened += 1
        for text in SPECIAL_TEXTS:
            tokenizer.decode(tokenizer.encode(text).ids)
    assert opened > 10
