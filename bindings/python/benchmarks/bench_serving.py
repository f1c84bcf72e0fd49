"""Latency and throughput of single requests from 1 to 64 client threads: one predictor behind a lock, a predictor of one thread
for each client, and queues. The clients are a C program (bench_serving.c), so that Python's lock is not measured.

Usage: bench_serving.py [--data FOLDER] [--sizes 4x256] [--clients 1 2 4 ...] [--threads 2] [--seconds 4] [--output TABLE.md]
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

from bench_speed import data_folder
from engines import HERE, SIZES, create_folder, processor

WAYS = {  # name in the table -> way of bench_serving.c, microseconds of delay
    "locked": ("locked", 0),
    "own": ("own", 0),
    "queue": ("queue", 0),
    "queue, workers": ("workers", 0),
    "queue, workers, 2 ms": ("workers", 2000),
}


def build(folder):
    """The C program, linked with the library that Python uses."""
    import kluere

    library = Path(kluere.library_path()).resolve()
    program = folder / "bench_serving"
    compiler = os.environ.get("CC", "cc")
    include = HERE.parents[2] / "include"
    source = HERE / "bench_serving.c"
    subprocess.run(
        [compiler, "-std=c11", "-O2", f"-I{include}", str(source), "-o", str(program), str(library), "-lpthread",
         f"-Wl,-rpath,{folder}"],
        check=True,
    )
    (folder / "libkluere.so.1").symlink_to(library)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
    parser.add_argument("--sizes", nargs="+", default=["4x256"], choices=list(SIZES))
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--threads", type=int, default=2, help="of the pool, or workers of one thread")
    parser.add_argument("--rows", type=int, default=256, help="different sentences")
    parser.add_argument("--batch-rows", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--runs", type=int, default=3, help="of each way, taking turns; medians are shown")
    parser.add_argument("--output", help="write the table to this file too")
    options = parser.parse_args()
    data = data_folder(parser, options.data)
    import kluere

    lines = [
        "# Serving single requests",
        "",
        f"{processor()}, {options.threads} threads (locked, queue: one pool of them; workers: as many batches at once;"
        f" own: a thread for each client), {options.rows} real sentences of KLUE-RE train, at most {options.batch_rows}"
        f" rows a batch, medians of {options.runs} alternating runs of {options.seconds:g} s. Every answer had the bits of a"
        " single prediction.",
        "",
        "| size | clients | way | requests/s | p50 ms | p99 ms | CPU ms a request | rows a batch |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder)
        everything = kluere.Dataset.read(data / "klue-re" / "klue-re-v1.1_train.json")
        rows = folder / "rows.json"
        everything.subset(random.Random(7).sample(range(len(everything)), options.rows)).write(rows)
        for size in options.sizes:
            model = folder / size
            create_folder(str(model), data / "tokenizers" / "klue-roberta", size)
            for clients in options.clients:
                found = {way: [] for way in options.ways}
                for _ in range(options.runs):
                    for way in options.ways:
                        kind, delay = WAYS[way]
                        line = [program, model, rows, kind, clients, options.seconds, options.threads, delay]
                        line = [str(part) for part in line + [options.batch_rows]]
                        done = subprocess.run(line, check=True, capture_output=True, text=True)
                        found[way].append(json.loads(done.stdout))
                for way, results in found.items():
                    middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
                    lines.append(
                        f"| {size} | {clients} | {way} | {middle['per_second']:.1f} | {1e3 * middle['p50']:.2f} |"
                        f" {1e3 * middle['p99']:.2f} | {1e3 * middle['cpu']:.2f} | {middle['rows_per_batch']:.1f} |"
                    )
                    print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    if options.output:
        Path(options.output).write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
