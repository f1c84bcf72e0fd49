"""All comparisons of a CPU in one summary: `make bench`. Each part is a script beside this one that can also run alone.

Usage: bench.py [--data FOLDER] [--threads 2] [--runs 3] [--parts training inference ...] [--output FOLDER]
OUTPUT gets a table and a JSON file of each part, and summary.md; a part that has its JSON file already is not measured again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench_speed import number
from engines import HERE, processor

TORCH = ["torch-eager", "torch-sdpa", "torch-compile"]
FLOAT32 = [*TORCH, "onnxruntime", "onnxruntime-fused", "ctranslate2"]
INT8 = ["torch-int8", "onnxruntime-int8", "onnxruntime-fused-int8", "ctranslate2-int8"]
OUR_INT8 = ["int8", "int8_reduced"]
ONNXRUNTIME = ["onnxruntime", "onnxruntime_optimized"]
PARTS = {
    "training": "bench_training.py",
    "inference": "bench_inference.py",
    "products": "bench_products.py",
    "tokenizer": "bench_tokenizer.py",
    "load": "bench_load.py",
    "counts": "bench_counts.py",
}


def best(engines, names, figure, larger):
    found = {name: engines[name][figure][0] for name in names if name in engines}
    return (max if larger else min)(found.items(), key=lambda item: item[1])


def speed(part, size, figure, ours, names, larger=True):
    """(ours, best peer's name, its figure, ratio)"""
    engines = part["results"][size]
    mine = engines[ours][figure][0]
    name, theirs = best(engines, names, figure, larger)
    return mine, name, theirs, mine / theirs if larger else theirs / mine


def works(parts):
    """(work, unit, figures, ratio asked for at least), for what has been measured."""
    if "training" in parts:
        part = parts["training"]
        for size, least in (("12x768", 2.0), ("4x256", 2.5)):
            yield f"training, {size}", "tokens/s", speed(part, size, "training", "kluere", TORCH), least
        for size in ("12x768", "4x256"):
            names = [f"{name}-sorted" for name in TORCH]
            yield f"training, {size}, peer's sentences sorted", "tokens/s", speed(part, size, "training", "kluere", names), 1.05
        engines = part["results"]["12x768"]
        name, theirs = min(((name, engines[name]["peak"]) for name in TORCH), key=lambda item: item[1])
        ours = engines["kluere"]["peak"]
        yield "peak memory, training, 12x768", "MB", (ours, name, theirs, ours / theirs), 0.7
    if "inference" in parts:
        part = parts["inference"]
        for size, least in (("12x768", 1.8), ("4x256", 2.6)):
            yield f"batches, {size}", "tokens/s", speed(part, size, "batches", "kluere", FLOAT32), least
        yield "one sentence, 12x768", "ms", speed(part, "12x768", "one sentence", "kluere", FLOAT32, False), 1.1
        for size in ("12x768", "4x256"):
            for form in OUR_INT8:
                ours = f"kluere-{form}"
                if ours in part["results"][size]:
                    yield f"batches, {size}, {form}", "tokens/s", speed(part, size, "batches", ours, INT8), 1.2
                    yield f"one sentence, {size}, {form}", "ms", speed(part, size, "one sentence", ours, INT8, False), 1.2
    if "load" in parts:
        work = "process start to first answer, 12x768"
        for names, least in ((ONNXRUNTIME, 3.0), (["transformers"], 20.0)):
            yield work, "s", speed(parts["load"], "12x768", "first answer", "kluere", names, False), least
    if "tokenizer" in parts:
        work = "tokenizing with offsets, one thread"
        for title, engines in parts["tokenizer"]["results"].items():
            for name in engines:
                if name != "kluere":
                    figures = speed(parts["tokenizer"], title, "time", "kluere", [name], False)
                    yield f"{work}: {title}", "ms", figures, {"tokenizers": 8.0}.get(name, 1.0)
    if "products" in parts:
        median = parts["products"]["median"]
        share, ratio = median["share"], median["ratio"]
        figures = (share, "best of MKL, oneDNN, OpenBLAS", share / ratio, ratio)
        yield "matrix products, median", "of the machine's rate", figures, 0.95


def summary(parts, options):
    versions = sorted({text for part in parts.values() for text in part.get("versions", "").split(", ") if text})
    lines = ["; ".join([f"{processor()}, {options.threads} threads each", ", ".join(versions)]).rstrip("; ") + "."]
    compared = list(works(parts))
    if compared:
        lines += ["", "| work | | kluere | best peer | | ratio | asked for |", "|---|---|---:|---|---:|---:|---:|"]
    for work, unit, (ours, name, theirs, ratio), least in compared:
        asked = f"at most {least}x" if unit == "MB" else f"{least}x"
        lines.append(f"| {work} | {unit} | {number(ours)} | {name} | {number(theirs)} | **{ratio:.2f}x** | {asked} |")
    return "\n".join(lines + counted(parts.get("counts"), options)) + "\n"


def counted(part, options):
    """Lines of the table of instructions; one that says so where they were to be counted and are not."""
    if part is None:
        return ["", "Instructions of the hot loops: not counted, valgrind is missing."] if "counts" in options.parts else []
    lines = [
        "",
        f"Instructions of the hot loops, one thread (callgrind): {part['instruction_set']}.",
        "",
        "| loop | shape | unit | instructions |",
        "|---|---|---|---:|",
    ]
    for row in part["loops"]:
        if row["main"]:
            lines.append(f"| {row['loop']} | {row['shape']} | {row['unit']} | {number(row['instructions'])} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description="kluere against its peers on this CPU.")
    parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--output", default="bench-results")
    options = parser.parse_args()
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {}
    for name in options.parts:
        found = folder / f"{name}.json"
        if not found.exists():
            line = [sys.executable, str(HERE / PARTS[name]), "--output", str(folder / f"{name}.md"), "--json", str(found)]
            if name not in ("tokenizer", "counts"):
                line += ["--threads", str(options.threads), "--runs", str(options.runs)]
            if options.data and name != "products":
                line += ["--data", options.data]
            subprocess.run(line, check=True)
        if not found.exists():
            continue  # the part has said why it cannot run here
        parts[name] = json.loads(found.read_text(encoding="utf-8"))
    text = summary(parts, options)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
