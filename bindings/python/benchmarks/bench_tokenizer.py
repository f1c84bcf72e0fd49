"""Tokenizing real sentences with offsets on one thread, against Hugging Face tokenizers, FlashTokenizer and SentencePiece.

Every engine gets the same list of str and gives ids; all but FlashTokenizer, which has none, give offsets as well. Runs
alternate; before them the results are compared. An engine that is not installed is left out.

Usage: bench_tokenizer.py [--data FOLDER] [--sentences 4000] [--runs 11] [--output FILE.md]
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import tempfile
import time
import types
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"

from bench_speed import data_folder  # noqa: E402
from engines import processor  # noqa: E402

import kluere  # noqa: E402


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def sentences(data, count):
    rows = json.loads((data / "klue-re" / "klue-re-v1.1_train.json").read_text(encoding="utf-8"))
    step = max(1, len(rows) // count)
    return [row["sentence"].replace("\n", " ") for row in rows[::step]][:count]


class Kluere:
    name = "kluere"

    def __init__(self, path):
        self.context = kluere.Context(threads=1)
        self.tokenizer = kluere.Tokenizer(path, context=self.context)

    def run(self, texts):
        return self.tokenizer.encode_batch(texts, context=self.context)

    def rows(self, result):
        return [result[row] for row in range(len(result))]


class HuggingFace:
    name = "tokenizers"

    def __init__(self, backend):
        self.backend = backend

    def run(self, texts):
        return self.backend.encode_batch(texts)

    def rows(self, result):
        return [(row.ids, row.offsets) for row in result]


class Flash:
    """Ids only."""

    name = "flash_tokenizer"

    def __init__(self, vocabulary):
        from flash_tokenizer import BertTokenizerFlash

        self.tokenizer = BertTokenizerFlash(str(vocabulary), do_lower_case=False, model_max_length=512).tokenizer

    def run(self, texts):
        return self.tokenizer.batch_encode(texts, "longest", 512, False)

    def rows(self, result):
        return [(list(row), None) for row in result]


class SentencePiece:
    name = "sentencepiece"

    def __init__(self, model):
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def run(self, texts):
        return self.processor.encode(texts, return_type="offset_mapping", num_threads=1)

    def rows(self, result):
        return [(row["ids"], row["offsets"]) for row in result]


def word_piece(data):
    from tokenizers import BertWordPieceTokenizer

    folder = data / "tokenizers" / "klue-roberta"
    engines = [Kluere(folder)]
    theirs = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False, strip_accents=False)
    engines.append(HuggingFace(theirs._tokenizer))
    if version("flash-tokenizer"):
        engines.append(Flash(folder / "vocab.txt"))
    return engines


def unigram_json(data):
    """The model as a tokenizer.json, as transformers converts it: both read that file."""
    import transformers.convert_slow_tokenizer  # noqa: F401

    converters = sys.modules["transformers.convert_slow_tokenizer"]  # the package has a function of the same name
    model = data / "tokenizers" / "sentencepiece-ke-t5" / "sentencepiece.model"
    slow = types.SimpleNamespace(vocab_file=str(model), _extra_ids=100)
    slow.convert_tokens_to_ids = ["<pad>", "</s>", "<unk>"].index
    theirs = converters.T5Converter(slow).converted()
    folder = Path(tempfile.mkdtemp())
    theirs.save(str(folder / "tokenizer.json"))
    return [Kluere(folder), HuggingFace(theirs)]


def unigram_model(data):
    folder = data / "tokenizers" / "sentencepiece-ke-t5"
    engines = [Kluere(folder)]
    if version("sentencepiece"):
        engines.append(SentencePiece(folder / "sentencepiece.model"))
    return engines


WORK = {
    "WordPiece, klue-roberta": word_piece,
    "Unigram, ke-t5 as tokenizer.json": unigram_json,
    "Unigram, ke-t5's own file": unigram_model,
}


def differing(engines, texts):
    """For each engine: rows that are not those of ours; special tokens, which SentencePiece has not, are left out there."""
    found = {}
    ours = engines[0].rows(engines[0].run(texts))
    for engine in engines[1:]:
        bad = 0
        for (ids, offsets), (other_ids, other_offsets) in zip(ours, engine.rows(engine.run(texts))):
            if isinstance(engine, SentencePiece):
                ids, offsets = ids[: len(other_ids)], offsets[: len(other_ids)]
            bad += ids != other_ids or (other_offsets is not None and offsets != other_offsets)
        found[engine.name] = bad
    return found


def measure(engines, texts, runs):
    times = {engine.name: [] for engine in engines}
    for _ in range(runs):
        for engine in engines:
            begun = time.perf_counter()
            result = engine.run(texts)
            times[engine.name].append(time.perf_counter() - begun)
            del result
    return times


def table(title, engines, texts, times):
    differ = differing(engines, texts)
    total = len(engines[0].run(texts).ids)
    ours = statistics.median(times["kluere"])
    lines = [f"### {title}: {len(texts)} sentences, {total} tokens", ""]
    lines += ["| engine | version | median ms | least ms | ns a token | of kluere's time | rows that differ |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|"]
    for engine in engines:
        median, least = statistics.median(times[engine.name]), min(times[engine.name])
        number = kluere.__version__ if engine.name == "kluere" else version(engine.name)
        lines.append(
            f"| {engine.name} | {number} | {median * 1e3:.1f} | {least * 1e3:.1f} | {median * 1e9 / total:.0f} "
            f"| {median / ours:.1f}x | {differ.get(engine.name, '')} |"
        )
    return lines + [""]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--output")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    data = Path(data_folder(parser, arguments.data or os.environ.get("KLUERE_DATA")))
    texts = sentences(data, arguments.sentences)
    lines = [f"One thread of {processor()}, medians of {arguments.runs} alternating runs.", ""]
    results = {}
    for title, make in WORK.items():
        engines = make(data)
        times = measure(engines, texts, arguments.runs)
        lines += table(title, engines, texts, times)
        results[title] = {
            name: {"time": [1e3 * statistics.median(runs), 1e3 * min(runs), 1e3 * max(runs)]} for name, runs in times.items()
        }
    report = "\n".join(lines)
    print(report)
    if arguments.output:
        Path(arguments.output).write_text(report, encoding="utf-8")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"results": results}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
