#!/usr/bin/env python3
"""Writes tokenizer_golden.json: what Hugging Face's `tokenizers` gives for made-up strings under a made-up vocabulary.

Strings: every third of tokenizer_nasty_strings.json that is short. Vocabulary: their characters, each alone and with ##,
and a few longer pieces, so that offsets are seen character by character. Written with tokenizers 0.23.3.

Usage: generate_tokenizer_golden.py [--check]
"""

import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "tokenizer_golden.json"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONGER = ["가나", "##나다", "##라마", "대한", "##민국", "new", "##york", "ab", "##cd", "test", "##ing", "1,2", "##00", "i\u0307"]
VARIANTS = [  # lowercase, strip_accents, handle_chinese_chars
    (False, None, True),
    (True, None, True),
    (True, False, True),
    (False, True, False),
]
ADDED = [
    AddedToken("나다", special=False, normalized=False),
    AddedToken("NEW york", special=False, normalized=True, single_word=True),
    AddedToken("漢字", special=False, normalized=True),
    AddedToken("<e>", special=True, lstrip=True, rstrip=True),
]
ADDED_TEXTS = [
    "가나다라", "나다 나다", "new york", "NEW york", "xNEW york", "NEW york, new york", "New York漢字 가",
    "a <e> b", "a<e>\u3000b", "  <e>  <e>  ", "<e>[SEP]나다", "漢字漢字", "a漢字b", "[<e>]", "e <e", "",
]
DECODED = [
    [], [2, 3], [6], [2, 5, 6, 3], [9999999], ["가나", "##나다", ".", "a", "##b", "!", "?", ","],
    ["##a", "##b", "a"], ["a", "'", "b"], ["[CLS]", "test", "##ing", "[SEP]", "ab", "##cd", "[SEP]", "[PAD]"],
]


def tokenizer(vocabulary, variant, allow_special, added=()):
    lowercase, strip_accents, chinese = variant
    result = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    result.normalizer = normalizers.BertNormalizer(True, chinese, strip_accents, lowercase)
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    result.add_tokens(list(added) + [AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    result.encode_special_tokens = not allow_special
    return result


def pieces(encoding):
    """[id, begin, end, word] of each, flat; offsets in code points."""
    rows = zip(encoding.ids, encoding.offsets, encoding.word_ids)
    return [n for i, (begin, end), word in rows for n in (i, begin, end, word)]


def main():
    nasty = json.loads((HERE / "tokenizer_nasty_strings.json").read_text())
    texts = [t for t in nasty if len(t) <= 16][::3]
    characters = set("".join(texts) + "".join(ADDED_TEXTS) + ".,!?'")
    for variant in VARIANTS:
        normalize = normalizers.BertNormalizer(True, variant[2], variant[1], variant[0]).normalize_str
        characters |= set(normalize("".join(texts)))
    characters = sorted(c for c in characters if c not in "\r\n ")
    listed = SPECIAL + LONGER + [p + c for c in characters for p in ("", "##")]
    vocabulary = {token: i for i, token in enumerate(listed)}

    cases = []
    for variant in VARIANTS:
        for allow_special in (False, True):
            rule = tokenizer(vocabulary, variant, allow_special)
            shown = texts if not allow_special else [t for t in texts if "[" in t]
            cases.append({
                "lowercase": variant[0], "strip_accents": variant[1], "chinese": variant[2], "allow": allow_special,
                "texts": shown, "pieces": [pieces(rule.encode(t, add_special_tokens=False)) for t in shown],
            })
    added_cases = []
    for variant in VARIANTS:
        for allow_special in (False, True):
            rule = tokenizer(vocabulary, variant, allow_special, ADDED)
            added_cases.append({
                "lowercase": variant[0], "strip_accents": variant[1], "chinese": variant[2], "allow": allow_special,
                "texts": ADDED_TEXTS,
                "pieces": [pieces(rule.encode(t, add_special_tokens=False)) for t in ADDED_TEXTS],
            })
    rule = tokenizer(vocabulary, VARIANTS[0], False)
    decoded = []
    for ids in DECODED:
        ids = [vocabulary[i] if isinstance(i, str) else i for i in ids]
        if any(i >= len(listed) for i in ids):
            continue  # Hugging Face leaves unknown ids out; kluere refuses them
        for clean in (False, True):
            rule.decoder = decoders.WordPiece(cleanup=clean)
            for skip in (False, True):
                decoded.append([ids, skip, clean, rule.decode(ids, skip_special_tokens=skip)])
    rule.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    truncated = []
    for maximum in (3, 4, 7, 8, 9, 12):
        rule.enable_truncation(maximum, strategy="longest_first")
        for a in (0, 1, 2, 3, 5, 9):
            for b in (0, 1, 2, 3, 5, 9):
                encoding = rule.encode("a " * a, "b " * b)
                truncated.append([a, b, maximum, encoding.ids, encoding.type_ids])
    result = {
        "provenance": f"generate_tokenizer_golden.py, tokenizers {tokenizers.__version__}; all strings made up",
        "vocabulary": listed, "cases": cases,
        "added": [
            dict(content=t.content, special=t.special, single_word=t.single_word, lstrip=t.lstrip, rstrip=t.rstrip,
                 normalized=t.normalized) for t in ADDED],
        "added_cases": added_cases, "decoded": decoded, "truncated": truncated,
    }
    text = json.dumps(result, ensure_ascii=True, separators=(",", ":")) + "\n"
    if "--check" in sys.argv[1:]:
        if OUTPUT.read_text() != text:
            sys.exit("tokenizer_golden.json: differs from what tokenizers does now")
    else:
        OUTPUT.write_text(text)
        print(f"{len(texts)} texts, {len(listed)} pieces, {len(text)} bytes")


if __name__ == "__main__":
    main()
