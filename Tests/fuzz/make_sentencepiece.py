#!/usr/bin/env python3
"""Makes corpus/sentencepiece: small models of the invented sample corpus, with a small character map of their own.

Needs the package sentencepiece. Run it in this folder; the files are committed.
"""

import json
import pathlib
import tempfile

import sentencepiece

here = pathlib.Path(__file__).resolve().parent
folder = here / "corpus" / "sentencepiece"
folder.mkdir(parents=True, exist_ok=True)
rows = json.loads((here.parents[1] / "samples" / "data" / "train.json").read_text(encoding="utf-8"))
with tempfile.TemporaryDirectory() as scratch:
    text, rules = pathlib.Path(scratch) / "text.txt", pathlib.Path(scratch) / "rules.tsv"
    text.write_text("\n".join(row["sentence"] for row in rows[:12]), encoding="utf-8")
    rules.write_text("41\t61\n42 43\t62 63 64\n3000\t20\n200B\t\n", encoding="utf-8")
    for name, kind, fallback in (("plain", "unigram", False), ("bytes", "unigram", True), ("bpe", "bpe", False)):
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=str(pathlib.Path(scratch) / name), vocab_size=420 if fallback else 180,
            character_coverage=0.98, model_type=kind, byte_fallback=fallback, user_defined_symbols=["[E1]"],
            normalization_rule_tsv=str(rules), hard_vocab_limit=False, minloglevel=2,
        )
        data = (pathlib.Path(scratch) / f"{name}.model").read_bytes()
        (folder / f"{name}.model").write_bytes(data.replace(scratch.encode(), b"_" * len(scratch.encode())))
