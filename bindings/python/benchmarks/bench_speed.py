"""What bench_training.py and bench_inference.py share: alternating runs in processes of their own, one table."""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from engines import HERE, SIZES, child, create_folder, processor, write_rows

WARM_UP = 2  # batches before the clock starts
ENGINES = ["kluere", "torch", "torch-sorted"]


def data_folder(parser, given):
    folder = Path(given) if given else HERE.parents[3] / "shared" / "data"
    if not (folder / "klue-re").is_dir():
        parser.error(f"{folder} has no klue-re: give --data or set KLUERE_DATA")
    return folder


def main(script, what, measure):
    """Command line of both benchmarks. measure(settings) runs in a child and returns tokens, seconds, peak."""
    if "--engine-settings" in sys.argv:
        settings = json.loads(sys.argv[sys.argv.index("--engine-settings") + 1])
        print(json.dumps(write_rows(settings) if settings["engine"] == "rows" else measure(settings)))
        return
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5, help="of each engine, taking turns; medians are shown")
    parser.add_argument("--batches", type=int, help="measured batches of a run (default: 24, or 6 at base size)")
    parser.add_argument("--output", help="write the table to this file too")
    options = parser.parse_args()
    data = data_folder(parser, options.data)

    lines = [
        f"# {what}",
        "",
        f"{processor()}, {options.threads} threads each, batch 32, real sentences of"
        f" KLUE-RE train, medians of {options.runs} alternating runs in processes of their own. Tokens are real ones:"
        " padding does not count. torch: eager, random order, padded to the longest; torch-sorted: the same sentences"
        " batched by length.",
        "",
        "| size | engine | tokens/s | kluere is faster by | peak MB |",
        "|---|---|---:|---:|---:|",
    ]
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            model = str(Path(folder) / "model")
            create_folder(model, data / "tokenizers" / "klue-roberta", size)
            results = {engine: [] for engine in options.engines}
            batches = options.batches or (24 if size == "4x256" else 6)
            for run in range(options.runs):
                settings = dict(
                    model=model,
                    train=str(data / "klue-re" / "klue-re-v1.1_train.json"),
                    rows=str(Path(folder) / "rows.json"),
                    threads=options.threads,
                    count=32 * (batches + WARM_UP),
                    seed=run,
                )
                child(script, engine="rows", **settings)
                for engine in options.engines:
                    result = child(script, engine=engine, **settings)
                    results[engine].append(result)
                    print(f"{size} run {run} {engine}: {result}", file=sys.stderr)
        speed = {e: statistics.median(r["tokens"] / r["seconds"] for r in rows) for e, rows in results.items()}
        for engine, rows in results.items():
            ratio = f"{speed['kluere'] / speed[engine]:.2f}x" if "kluere" in speed and engine != "kluere" else ""
            peak = max(row["peak"] for row in rows)
            lines.append(f"| {size} | {engine} | {speed[engine]:,.0f} | {ratio} | {peak:,.0f} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if options.output:
        Path(options.output).write_text(table, encoding="utf-8")
