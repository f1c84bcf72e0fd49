"""Ids and offsets against transformers' BertTokenizerFast, on every real sentence and on nasty strings."""

import json

import pytest

import kluere
from tokenizer_texts import EVERY, real_texts

transformers = pytest.importorskip("transformers")
tokenizers_package = pytest.importorskip("tokenizers")

VOCABULARIES = ["klue-bert-base", "klue-roberta"]


@pytest.fixture(scope="module", params=VOCABULARIES)
def tokenizers(request, real_data):
    folder = real_data / "tokenizers" / request.param
    return kluere.Tokenizer(folder), transformers.BertTokenizerFast.from_pretrained(str(folder))


def sentences(real_data):
    texts = []
    for name in ("klue-re-v1.1_train.json", "klue-re-v1.1_dev.json"):
        rows = json.loads((real_data / "klue-re" / name).read_text(encoding="utf-8"))
        texts += [row["sentence"] for row in rows]
    return texts


def differences(ours, theirs, texts, allow_special):
    reference = theirs(texts, return_offsets_mapping=True, split_special_tokens=not allow_special)
    found = []
    for i, text in enumerate(texts):
        tokens = ours.encode(text, allow_special=allow_special)
        expected = (reference["input_ids"][i], [tuple(o) for o in reference["offset_mapping"][i]])
        if (tokens.ids, tokens.offsets) != expected:
            found.append((text, tokens.ids, expected[0], tokens.offsets, expected[1]))
    return found


def test_all_40235_real_sentences(tokenizers, real_data):
    texts = sentences(real_data)
    assert len(texts) == 40235
    assert differences(*tokenizers, texts, allow_special=False)[:3] == []


def test_lines_of_the_wikipedia(tokenizers, real_data):
    texts = real_texts(real_data)[len(sentences(real_data)) // EVERY + 1 :]
    assert len(texts) >= 20000 // EVERY - 1
    assert differences(*tokenizers, texts, allow_special=False)[:3] == []


@pytest.mark.parametrize("allow_special", [False, True])
def test_nasty_strings(tokenizers, nasty_strings, allow_special):
    texts = [text for text in nasty_strings if not any("\ud800" <= c <= "\udfff" for c in text)]
    assert len(texts) >= 300
    assert differences(*tokenizers, texts, allow_special)[:3] == []


def test_pairs_and_truncation(tokenizers, real_data):
    ours, theirs = tokenizers
    texts = sentences(real_data)[:2000]
    for first, second, length in zip(texts, texts[1:], [16, 17, 32, 33, 64, 128] * 400):
        expected = theirs(
            first, second, truncation="longest_first", max_length=length, return_offsets_mapping=True,
            split_special_tokens=True,
        )
        tokens = ours.encode(first, second, truncate=True, max_tokens=length)
        assert tokens.ids == expected["input_ids"], (first, second, length)
        assert tokens.offsets == [tuple(o) for o in expected["offset_mapping"]], (first, second, length)


@pytest.mark.parametrize("skip_special", [False, True])
@pytest.mark.parametrize("clean_up", [False, True])
def test_decode(tokenizers, real_data, nasty_strings, skip_special, clean_up):
    ours, theirs = tokenizers
    backend = tokenizers_package.Tokenizer.from_str(theirs.backend_tokenizer.to_str())
    backend.decoder = tokenizers_package.decoders.WordPiece("##", cleanup=clean_up)
    for text in sentences(real_data)[:1000] + nasty_strings:
        if any("\ud800" <= c <= "\udfff" for c in text):
            continue
        ids = ours.encode(text).ids
        expected = backend.decode(ids, skip_special_tokens=skip_special)
        assert ours.decode(ids, skip_special=skip_special, clean_up=clean_up) == expected, text
        if clean_up:  # what transformers' decode() gives by default
            assert theirs.decode(ids, skip_special_tokens=skip_special) == expected, text


@pytest.mark.parametrize("text", ["\ud800", "가\udfff나", "\udc00\ud800"])
def test_lone_surrogates_are_refused(tokenizers, text):
    with pytest.raises(kluere.InvalidArgument) as caught:
        tokenizers[0].encode(text)
    assert caught.value.status_name == "KLUERE_ERR_INVALID_UTF8"
