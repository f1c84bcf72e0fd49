"""From nothing to the first prediction: opening a base-size folder, against transformers with its imports.

A child process for each run: the clock starts before the first import and stops when one sentence has its probabilities.
Memory is the process's largest resident size, pages of the mapped file included.

Usage: bench_load.py [--data FOLDER] [--size 12x768] [--runs 5] [--threads 2] [--output FILE.md]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_speed import data_folder
from engines import SIZES, child, create_folder, peak_megabytes, processor

TEXT = "이순신은 조선 중기의 무신이다."
SUBJECT, OBJECT = (0, 3), (5, 7)
ENGINES = ["kluere", "transformers"]


def run_kluere(settings, begun):
    import kluere

    context = kluere.Context(threads=settings["threads"])
    model = kluere.Model.open(settings["model"], context=context)
    example = kluere.Example(TEXT, kluere.Entity(*SUBJECT, "PER"), kluere.Entity(*OBJECT, "LOC"))
    row = model.predict(example)
    seconds = time.perf_counter() - begun
    return dict(seconds=seconds, first=float(row[0]), ids=list(model.encode(example).ids))


def run_transformers(settings, begun):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(settings["threads"])
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    model = AutoModelForSequenceClassification.from_pretrained(settings["model"]).eval()
    with torch.inference_mode():
        tokenizer(TEXT)  # its work belongs to the time; the model gets the ids that kluere's input form makes
        logits = model(input_ids=torch.tensor([settings["ids"]])).logits
        row = torch.softmax(logits, 1)[0]
    seconds = time.perf_counter() - begun
    return dict(seconds=seconds, first=float(row[0]))


def measure(settings):
    begun = time.perf_counter()
    result = (run_kluere if settings["engine"] == "kluere" else run_transformers)(settings, begun)
    result["peak"] = peak_megabytes()
    return result


def main():
    if "--engine-settings" in sys.argv:
        print(json.dumps(measure(json.loads(sys.argv[sys.argv.index("--engine-settings") + 1]))))
        return
    parser = argparse.ArgumentParser(description="From nothing to the first prediction.")
    parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
    parser.add_argument("--size", default="12x768", choices=list(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5, help="of each engine, taking turns; medians are shown")
    parser.add_argument("--output", help="write the table to this file too")
    options = parser.parse_args()
    data = data_folder(parser, options.data)
    results = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "model")
        create_folder(model, data / "tokenizers" / "klue-roberta", options.size)
        size = (Path(model) / "model.safetensors").stat().st_size / 2**20
        ids = None
        for number in range(options.runs + 1):  # run 0 brings everything into the page cache
            for engine in ENGINES:
                result = child(__file__, engine=engine, model=model, threads=options.threads, ids=ids)
                ids = result.pop("ids", ids)
                if number:
                    results[engine].append(result)
                print(f"run {number} {engine}: {result}", file=sys.stderr)
    firsts = [rows[0]["first"] for rows in results.values()]
    if abs(firsts[0] - firsts[1]) > 1e-5:
        sys.exit(f"the engines do not agree: {firsts}")
    seconds = {engine: statistics.median(row["seconds"] for row in rows) for engine, rows in results.items()}
    lines = [
        "# From nothing to the first prediction",
        "",
        f"{processor()}, {options.threads} threads each, {options.size}, a weight file of {size:,.0f} MiB in the page"
        f" cache, medians of {options.runs} alternating runs in processes of their own, imports included.",
        "",
        "| engine | seconds | share of transformers | peak MiB | of the file |",
        "|---|---:|---:|---:|---:|",
    ]
    for engine, rows in results.items():
        peak = max(row["peak"] for row in rows)
        share = seconds[engine] / seconds["transformers"]
        lines.append(f"| {engine} | {seconds[engine]:.2f} | {share:.3f} | {peak:,.0f} | {peak / size:.2f}x |")
    table = "\n".join(lines) + "\n"
    print(table)
    if options.output:
        Path(options.output).write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
