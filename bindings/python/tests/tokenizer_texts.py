"""Texts that tokenizers are compared on, and the comparisons."""

import json
import lzma
import os

# One text of so many; 1: all 60,235, which takes minutes.
EVERY = int(os.environ.get("KLUERE_EVERY_TEXT") or 7)


def real_texts(real_data, every=EVERY):
    """All sentences of KLUE-RE and 20,000 lines of the Korean Wikipedia, or one of `every`."""
    texts = []
    for name in ("klue-re-v1.1_train.json", "klue-re-v1.1_dev.json"):
        rows = json.loads((real_data / "klue-re" / name).read_text(encoding="utf-8"))
        texts += [row["sentence"] for row in rows]
    assert len(texts) == 40235
    wiki = sorted((real_data / "wiki-ko").glob("*.xz"))
    assert wiki, "no wiki-ko/*.xz"
    with lzma.open(wiki[0], "rt", encoding="utf-8") as lines:
        texts += [line.rstrip("\n") for _, line in zip(range(20000), lines)]
    return texts[::every]


def clean(strings):
    return [text for text in strings if not any("\ud800" <= c <= "\udfff" for c in text)]


def differences(ours, theirs, texts):
    found = []
    for begin in range(0, len(texts), 5000):
        part = texts[begin : begin + 5000]
        for text, expected in zip(part, theirs.encode_batch(part)):
            tokens = ours.encode(text, allow_special=True)
            if (tokens.ids, tokens.offsets) != (expected.ids, expected.offsets):
                found.append((text, tokens.ids, expected.ids, tokens.offsets, expected.offsets))
    return found


SPECIAL_TEXTS = [
    "ﷺ ㎏ ｶﾞ ①②③ ﬁ", "กำ ภาษาไทย", "e\u0301 é  ́", "👩‍👩‍👧‍👦 🇰🇷", "a\u200bb\ufeffc\u00ad", "  x  y ", "\t\n", "　全角　",
    "한\u1100\u1161\u11a8", "\u3164\uffa0", "a" * 5000, "가" * 3000, " ", "", "▁▁ ▁a", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "<unk><s></s>", "<0x41>",
    "[E1]사과 [E1] 사과나무[E1]x 사과나무가",
]


def characters(text):
    """For each byte offset, the code points before it."""
    places = [0]
    for byte in text.encode():
        places.append(places[-1] + (byte & 0xC0 != 0x80))
    return places


def sentencepiece_differences(ours, theirs, texts, number=lambda id: id):
    found = []
    for text in texts:
        expected = theirs.encode(text, return_type="proto")
        places = characters(text)
        ids = [number(piece.id) for piece in expected.pieces]
        offsets = [(places[piece.begin], places[piece.end]) for piece in expected.pieces]
        tokens = ours.encode(text, add_special=False)
        if (tokens.ids, tokens.offsets) != (ids, offsets):
            found.append((text, tokens.ids, ids, tokens.offsets, offsets))
    return found
