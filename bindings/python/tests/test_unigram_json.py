"""tokenizer.json with a unigram model, in every form that transformers writes: ids, offsets and decoded text against the
tokenizers library.
"""

import json
import random
import types

import pytest

import kluere
from tokenizer_texts import SPECIAL_TEXTS, clean, differences, real_texts

transformers = pytest.importorskip("transformers")
backends = pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")
converters = pytest.importorskip("transformers.convert_slow_tokenizer")

normalizers, splitters, decoders = backends.normalizers, backends.pre_tokenizers, backends.decoders
AddedToken = backends.AddedToken
SPACES = backends.Regex(" {2,}")


def strange_texts(count):
    """Characters that share grapheme clusters, in every order; then any characters at all."""
    generator = random.Random(7)
    pool = "  aeA\xe9\xa9\xae\u0300\u0301\u0345\u200d\u200b\u200c\ufe0f\U0001f600\U0001f468\U0001f3fb\U0001f1f0\U0001f1f7"
    pool += "\r\n\t\u3000\xa0\u1100\u1161\u11a8\uac00\uac01\u0915\u094d\u0930\u093f\u0e01\u0e33\u0eb3\u0600\u06dd\u070f"
    pool += "\U000110bd\u2581\u3099\u309a\u304b\uff76\uff9e\xad\ufeff\x85\u2028\ufb01\ufdfa\U0001d518\u338f\x00\x7f\u0903"
    pool += "\u0d4e\u08e2\ua954\u1b05\u1b35\U0001e94a\u20e3\u302a\U00011f02"
    texts = ["".join(generator.choices(pool, k=generator.randint(1, 12))) for _ in range(count)]
    for _ in range(count):
        limits = generator.choices([0x80, 0x3100, 0x20000], k=generator.randint(1, 8))
        numbers = [generator.randrange(limit) for limit in limits]
        texts.append("".join(chr(n) for n in numbers if not 0xD800 <= n < 0xE000))
    return texts


@pytest.fixture(scope="module")
def texts(real_data, nasty_strings):
    return clean(nasty_strings) + SPECIAL_TEXTS + strange_texts(3000) + real_texts(real_data)


def model_file(path):
    content = converters.import_protobuf().ModelProto()
    content.ParseFromString(path.read_bytes())
    return content


def compare(theirs, folder, texts):
    theirs.no_truncation()
    theirs.no_padding()
    theirs.save(str(folder / "tokenizer.json"))
    ours = kluere.Tokenizer(folder / "tokenizer.json")
    assert differences(ours, theirs, texts)[:3] == []
    for text in texts[:3000]:
        ids = ours.encode(text, allow_special=True).ids
        for skip in (False, True):
            assert ours.decode(ids, skip_special=skip) == theirs.decode(ids, skip_special_tokens=skip), text
    pair, expected = ours.encode(texts[0], texts[1]), theirs.encode(texts[0], texts[1])
    assert (pair.ids, pair.type_ids, pair.offsets) == (expected.ids, expected.type_ids, expected.offsets)
    return ours


# ---- As transformers writes them ----


def saved_by_transformers_5(kind, source, name, folder):
    (folder / "source").mkdir()
    (folder / "source" / name).write_bytes(source.read_bytes())
    kind.from_pretrained(folder / "source").save_pretrained(folder)
    return backends.Tokenizer.from_file(str(folder / "tokenizer.json"))


def converted(converter, source, tokens):
    """As transformers 4 converted slow tokenizers."""
    slow = types.SimpleNamespace(vocab_file=str(source), add_prefix_space=True, _extra_ids=100)
    slow.convert_tokens_to_ids = tokens.index
    return converter(slow).converted()


def test_xlm_roberta_of_transformers_5(trained, texts, tmp_path):
    theirs = saved_by_transformers_5(
        transformers.XLMRobertaTokenizer, trained[0] / "spiece.model", "sentencepiece.bpe.model", tmp_path
    )
    compare(theirs, tmp_path, texts)
    ours = kluere.Tokenizer(tmp_path)  # the whole folder
    assert [ours.id(token) for token in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert differences(ours, theirs, texts[:1000]) == []


def test_xlm_roberta_of_transformers_4(trained, texts, tmp_path):
    theirs = converted(converters.XLMRobertaConverter, trained[0] / "spiece.model", ["<s>", "<pad>", "</s>", "<unk>"])
    theirs.add_special_tokens([AddedToken("<mask>", lstrip=True), "<s>", "<pad>", "</s>", "<unk>"])
    compare(theirs, tmp_path, texts)


@pytest.mark.parametrize("version", [4, 5])
def test_t5(version, real_data, texts, tmp_path):
    source = real_data / "tokenizers" / "sentencepiece-ke-t5" / "sentencepiece.model"
    if version == 5:
        theirs = saved_by_transformers_5(transformers.T5Tokenizer, source, "spiece.model", tmp_path)
    else:
        theirs = converted(converters.T5Converter, source, ["<pad>", "</s>", "<unk>"])
    compare(theirs, tmp_path, texts)


# ---- Every option of every part ----


def made(trained, normalizer, splitter, decoder):
    """XLM-R's pieces around the trained model, with parts of one's own."""
    content = model_file(trained[0] / "spiece.model")
    pieces = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [(piece.piece, piece.score) for piece in content.pieces[3:]] + [("<mask>", 0.0)]
    theirs = backends.Tokenizer(
        backends.models.Unigram(pieces, unk_id=3, byte_fallback=content.trainer_spec.byte_fallback)
    )
    if normalizer is not None:
        theirs.normalizer = normalizer(normalizers.Precompiled(content.normalizer_spec.precompiled_charsmap))
    if splitter is not None:
        theirs.pre_tokenizer = splitter
    if decoder is not None:
        theirs.decoder = decoder
    theirs.post_processor = backends.processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    theirs.add_tokens([AddedToken("[E1]", normalized=False), AddedToken("사과나무", normalized=False)])
    theirs.add_special_tokens([AddedToken("<mask>", lstrip=True), "<s>", "</s>", "<pad>", "<unk>"])
    return theirs


LLAMA_DECODER = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
FORMS = {
    "spaces become one": (
        lambda p: normalizers.Sequence([p, normalizers.Replace(SPACES, " ")]),
        splitters.Metaspace(prepend_scheme="first"), decoders.Metaspace(prepend_scheme="first"),
    ),
    "no mark at the front": (
        lambda p: normalizers.Sequence([p, normalizers.Strip()]),
        splitters.Metaspace(prepend_scheme="never", split=False), decoders.Metaspace(prepend_scheme="never"),
    ),
    "stripped first": (
        lambda p: normalizers.Sequence([normalizers.Strip(), p]), splitters.Metaspace(prepend_scheme="first", split=False),
        decoders.Sequence(LLAMA_DECODER + [decoders.Strip(" ", 1, 0)]),
    ),
    "no splitter": (
        lambda p: normalizers.Sequence([p, normalizers.Replace(" ", "▁"), normalizers.Replace("``", '"')]),
        None, decoders.Sequence(LLAMA_DECODER),
    ),
    "white space alone": (lambda p: p, splitters.WhitespaceSplit(), decoders.Metaspace()),
    "nothing": (None, splitters.Sequence([splitters.WhitespaceSplit(), splitters.Metaspace()]), None),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form, trained, texts, tmp_path):
    compare(made(trained, *FORMS[form]), tmp_path, texts[::3])


def test_added_tokens(trained, texts, tmp_path):
    """Of the normalized text and of the raw one, with every flag."""
    strip = [normalizers.Strip(left=False, right=True), normalizers.Replace(SPACES, "▁")]
    theirs = made(trained, lambda p: normalizers.Sequence([p] + strip), splitters.Metaspace(), decoders.Metaspace())
    theirs.add_tokens(
        [
            "ＡＢ", "나라 ", "이순신", AddedToken("무신", single_word=True), AddedToken("조선", lstrip=True, rstrip=True),
            AddedToken("중기", normalized=False, lstrip=True), AddedToken("가", normalized=False, rstrip=True),
        ]
    )
    compare(theirs, tmp_path, texts + ["ABC ＡＢ x", "나라 나라", " 조선  이순신 무신이 무신 ", "가  가가 중기"])


# ---- What goes wrong ----

REFUSED = {  # change of a good file -> what the message names
    "NFKC": (lambda d: d.update(normalizer={"type": "NFKC"}), "NFKC"),
    "a Sequence with another normalizer": (
        lambda d: d.update(normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}), "Lowercase"
    ),
    "another pattern": (
        lambda d: d.update(normalizer={"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}), "\\s+"
    ),
    "a Replace of nothing": (
        lambda d: d.update(normalizer={"type": "Replace", "pattern": {"String": ""}, "content": " "}), "Replace"
    ),
    "no base64": (lambda d: d["normalizer"].update(precompiled_charsmap="*"), "base64"),
    "half a character map": (lambda d: d["normalizer"].update(precompiled_charsmap="/////wAA"), "character map"),
    "another splitter": (lambda d: d.update(pre_tokenizer={"type": "Punctuation"}), "Punctuation"),
    "Metaspace twice": (
        lambda d: d["pre_tokenizer"].update(pretokenizers=[{"type": "Metaspace"}] * 2), "Metaspace"
    ),
    "another mark": (lambda d: d["pre_tokenizer"]["pretokenizers"][1].update(replacement="_"), "_"),
    "another scheme": (lambda d: d["pre_tokenizer"]["pretokenizers"][1].update(prepend_scheme="last"), "last"),
    "another decoder": (lambda d: d.update(decoder={"type": "BPEDecoder"}), "BPEDecoder"),
    "no unknown piece": (lambda d: d["model"].update(unk_id=None), "unk_id"),
    "an unknown piece that is not there": (lambda d: d["model"].update(unk_id=2**31 - 1), "unk_id"),
    "a negative unknown piece": (lambda d: d["model"].update(unk_id=-1), "unk_id"),
    "no vocabulary": (lambda d: d["model"].pop("vocab"), "vocab"),
    "an empty vocabulary": (lambda d: d["model"].update(vocab=[]), "pieces"),
    "a piece without a score": (lambda d: d["model"]["vocab"].append(["x"]), "vocab"),
    "a score that is no number": (lambda d: d["model"]["vocab"].append(["x", "y"]), "vocab"),
    "a piece of a megabyte": (lambda d: d["model"]["vocab"].append(["x" * 2**20, 0.0]), "1048576"),
    "an added token with another id": (lambda d: d["added_tokens"][0].update(id=77), "77"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name, trained, tmp_path):
    splitter = splitters.Sequence([splitters.WhitespaceSplit(), splitters.Metaspace()])
    document = json.loads(made(trained, lambda p: p, splitter, decoders.Metaspace()).to_str())
    change, named = REFUSED[name]
    change(document)
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(kluere.KluereError) as caught:
        kluere.Tokenizer(tmp_path / "tokenizer.json")
    assert named in str(caught.value), caught.value
    assert caught.value.status_name in ("KLUERE_ERR_UNSUPPORTED", "KLUERE_ERR_BAD_FORMAT")
