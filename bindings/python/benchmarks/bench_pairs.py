"""All pairs of a sentence's entities in one call, against one prediction a pair: the same model and thread count, in turns.

Twice: with markers in the text, where every pair is other tokens, and with markers beside it, where pairs share the text.
Sentences are those of the dev file, and of the train file, whose rows mark exactly that many entities, each with one type.
Pruned: pairs of types that the train file never shows together are not computed. Answers are compared first.

Usage: bench_pairs.py [--data FOLDER] [--sizes 4x256 12x768] [--forms typed_marker_punct typed_levitated_marker]
                      [--entities 3 4] [--threads 1 2] [--sentences 20] [--output FILE.md]
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_speed import data_folder
from engines import SIZES, create_folder, processor


def sentences(path, count):
    """[(text, [(begin, end, type)])] with that many entities, in the file's order."""
    found = {}
    for row in json.loads(Path(path).read_text(encoding="utf-8")):
        spans = found.setdefault(row["sentence"], {})
        for entity in (row["subject_entity"], row["object_entity"]):
            spans.setdefault((entity["start_idx"], entity["end_idx"] + 1), set()).add(entity["type"])
    chosen = []
    for text, spans in found.items():
        if len(spans) == count and all(len(types) == 1 for types in spans.values()):
            chosen.append((text, [(*span, *types) for span, types in sorted(spans.items())]))
    return chosen


def examples(kluere, text, entities):
    """One for each ordered pair."""
    return [
        kluere.Example(text, subject, object)
        for subject in entities
        for object in entities
        if subject is not object
    ]


def milliseconds(call):
    begun = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - begun)


def measure(kluere, predictor, chosen, rounds):
    """{way: milliseconds a sentence}, the largest difference of a probability, and the share of pairs that were pruned."""
    ways = {"one by one": [], "one call": [], "one call, pruned": []}
    difference, pruned, pairs = 0.0, 0, 0
    for text, entities in chosen:
        rows = examples(kluere, text, entities)
        calls = {
            "one by one": lambda: [predictor.predict([row]) for row in rows],
            "one call": lambda: predictor.predict_pair_table(text, entities),
            "one call, pruned": lambda: predictor.predict_pair_table(text, entities, prune="unseen"),
        }
        single = [table[0] for table in calls["one by one"]()]
        for way in ("one call", "one call, pruned"):
            relations, table = calls[way]()
            for found, row, expected in zip(relations, table, single):
                if not found.pruned:
                    difference = max(difference, *(abs(float(a) - float(b)) for a, b in zip(row, expected)))
        pairs += len(rows)
        pruned += sum(found.pruned for found in relations)
        times = {way: [] for way in ways}
        for _ in range(rounds):
            for way, call in calls.items():
                times[way].append(milliseconds(call))
        for way in ways:
            ways[way].append(statistics.median(times[way]))
    return {way: sum(values) / len(values) for way, values in ways.items()}, difference, pruned / pairs


def main():
    import kluere

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--forms", nargs="+", default=["typed_marker_punct", "typed_levitated_marker"])
    parser.add_argument("--entities", type=int, nargs="+", default=[3, 4])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sentences", type=int, default=20, help="at most, of each file")
    parser.add_argument("--rounds", type=int, default=7, help="of all ways, taking turns; medians count")
    parser.add_argument("--output")
    options = parser.parse_args()
    data = data_folder(parser, options.data or os.environ.get("KLUERE_DATA")) / "klue-re"
    files = {"dev": data / "klue-re-v1.1_dev.json", "train": data / "klue-re-v1.1_train.json"}
    lines = [
        f"{processor()}; milliseconds a sentence, mean of the sentences' medians of {options.rounds} alternating rounds.",
        "",
        "| size | input form | threads | sentences | entities | one by one | one call | ratio | pruned | one call, pruned "
        "| ratio |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        context = kluere.Context(threads=max(options.threads))
        seen = kluere.Dataset.read(files["train"], context=context)
        for size, form in itertools.product(options.sizes, options.forms):
            model = Path(folder) / size
            if not model.exists():
                create_folder(model, data.parent / "tokenizers" / "klue-roberta", size)
            masked = kluere.Model.open(model, input_form=form, head="entity_start", context=context).with_type_mask(
                seen, strength=0.5
            )
            for threads in options.threads:
                predictor = kluere.Predictor(masked, threads=threads)
                for count in options.entities:
                    for name, path in files.items():
                        chosen = sentences(path, count)[: options.sentences]
                        if not chosen:
                            continue
                        times, difference, pruned = measure(kluere, predictor, chosen, options.rounds)
                        worst = max(worst, difference)
                        single, call, fewer = times.values()
                        lines.append(
                            f"| {size} | {form} | {threads} | {len(chosen)} of {name} | {count} | {single:.2f} | {call:.2f} "
                            f"| **{call / single:.2f}** | {pruned:.0%} | {fewer:.2f} | **{fewer / single:.2f}** |"
                        )
                        print(lines[-1], file=sys.stderr, flush=True)
    lines += ["", f"Largest difference of a probability: {worst:.2g}."]
    if not worst <= 1e-5:
        sys.exit(f"one call and single predictions differ by {worst:.3g}, more than 1e-5")
    report = "\n".join(lines) + "\n"
    print(report)
    if options.output:
        Path(options.output).write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
