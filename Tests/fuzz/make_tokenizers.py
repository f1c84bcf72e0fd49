#!/usr/bin/env python3
"""Makes corpus/tokenizer: small tokenizer.json files with invented pieces, one for each kind of part.

Needs the package tokenizers. Run it in this folder; the files are committed.
"""

import pathlib
import struct

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

folder = pathlib.Path(__file__).resolve().parent / "corpus" / "tokenizer"
folder.mkdir(parents=True, exist_ok=True)


def character_map():
    """A -> a: a double-array trie of one byte, and its replacement."""
    units = [0] * 512
    root, leaf = 256, 0
    units[0] = root << 10  # offset of the root's children
    units[root ^ ord("A")] = 1 << 8 | ord("A") | 1 << 10  # has a leaf, one slot on
    units[(root ^ ord("A")) ^ 1] = 1 << 31 | leaf
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"a\0"


def unigram(name, normalizer, splitter, decoder, byte_fallback=False):
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [("▁", -2.0), ("▁a", -3.0), ("a", -3.5), ("b", -4.0), ("ab", -4.5), ("나", -4.0), ("무", -4.5), ("나무", -5.0)]
    if byte_fallback:
        pieces += [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=byte_fallback))
    if normalizer:
        tokenizer.normalizer = normalizer
    if splitter:
        tokenizer.pre_tokenizer = splitter
    if decoder:
        tokenizer.decoder = decoder
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(["<s>", AddedToken("<mask>", lstrip=True)])
    tokenizer.add_tokens(["Ab", AddedToken("무", single_word=True, rstrip=True, normalized=False)])
    tokenizer.save(str(folder / f"{name}.json"), pretty=False)


def main():
    precompiled = normalizers.Precompiled(character_map())
    assert precompiled.normalize_str("bAA") == "baa"
    both = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    unigram("plain", precompiled, both, decoders.Metaspace())
    parts = [precompiled, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
    first = pre_tokenizers.Metaspace(prepend_scheme="first")
    unigram("steps", normalizers.Sequence(parts), first, decoders.Metaspace(prepend_scheme="first"))
    chain = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    unigram("bytes", normalizers.Replace(" ", "▁"), None, decoders.Sequence(chain), byte_fallback=True)
    pieces = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "a", "##b", "나", "##무"]
    words = Tokenizer(models.WordPiece({piece: id for id, piece in enumerate(pieces)}, unk_token="[UNK]"))
    words.normalizer = normalizers.BertNormalizer()
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.decoder = decoders.WordPiece()
    words.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    words.add_special_tokens(pieces[:5])
    words.add_tokens(["Ab", AddedToken("무", normalized=False, lstrip=True)])
    words.save(str(folder / "words.json"), pretty=False)


main()
