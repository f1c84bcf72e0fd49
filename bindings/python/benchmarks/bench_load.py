"""From nothing to the first answer: a base-size folder, against transformers and onnxruntime, where they can be imported.

A child process for each run (load_child.py): the clock starts before the interpreter does and stops when one sentence has
its likeliest label. The weight files are in the page cache. Answers are compared before anything is shown. Memory is the
process's largest resident size, pages of mapped files included.

onnxruntime runs the model that PyTorch exports of the same folder, once as it is and once with the graph that a session
left behind after optimizing; its sentence goes through the tokenizers library alone, without transformers.

Usage: bench_load.py [--data FOLDER] [--size 12x768] [--runs 5] [--threads 2] [--output FILE.md] [--json FILE]
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from bench_speed import data_folder
from engines import SIZES, create_folder, processor
from load_child import OBJECT, SUBJECT, TEXT

NAMES = {
    "kluere": "kluere, best()",
    "kluere_table": "kluere, predict() with NumPy",
    "transformers": "transformers",
    "onnxruntime": "onnxruntime, as exported",
    "onnxruntime_optimized": "onnxruntime, optimized before",
}


def available():
    """The engines that run here, kluere's first."""
    engines = ["kluere", "kluere_table"]
    found = [name for name in ("torch", "transformers", "onnxruntime", "onnx") if importlib.util.find_spec(name)]
    if "torch" in found and "transformers" in found:
        engines.append("transformers")
        if "onnxruntime" in found and "onnx" in found:
            engines += ["onnxruntime", "onnxruntime_optimized"]
    return engines


def child(engine, **settings):
    """Runs load_child.py and returns what it printed."""
    # A limit on OpenMP's threads in the caller's shell would hold back one engine only; modules are compiled as installed.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["TRANSFORMERS_OFFLINE"] = "1"
    script = str(Path(__file__).with_name("load_child.py"))
    line = [sys.executable, script, engine, repr(time.monotonic()), json.dumps(settings)]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{engine}: exit {done.returncode}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def token_ids(folder):
    import kluere

    with kluere.Context(threads=1) as context, kluere.Model.open(folder, context=context) as model:
        return list(model.encode(kluere.Example(TEXT, SUBJECT, OBJECT)).ids)


def export_onnx(folder, output):
    """model.onnx and tokenizer.json of the folder, by PyTorch and transformers."""
    from peers import export_graph, quiet, torch_model
    from transformers import AutoTokenizer

    quiet()
    AutoTokenizer.from_pretrained(folder).backend_tokenizer.save(str(Path(output) / "tokenizer.json"))
    export_graph(torch_model(folder, "eager").eval(), Path(output) / "model.onnx")


def measure(engines, settings, runs):
    results = {engine: [] for engine in engines}
    for number in range(runs + 1):  # run 0 brings everything into the page cache
        for engine in engines:
            result = child(engine, **settings, write_optimized=number == 0)
            if number:
                results[engine].append(result)
            print(f"run {number} {engine}: {result}", file=sys.stderr)
            if engine == engines[0]:
                first = result["answer"]
            if any(abs(a - b) > 1e-5 for a, b in zip(first, result["answer"])):
                sys.exit(f"{engine} does not agree: {result['answer']}, {engines[0]}: {first}")
    return results


def summary(results):
    """{engine: {"first answer": [median, least, most] in seconds, "peak": MiB}}"""
    found = {}
    for engine, rows in results.items():
        seconds = sorted(row["seconds"] for row in rows)
        found[engine] = {
            "first answer": [statistics.median(seconds), seconds[0], seconds[-1]],
            "peak": max(row["peak"] for row in rows),
        }
    return found


def table(found, size, options, packages):
    ours = next(iter(found.values()))["first answer"][0]
    lines = [
        "# From nothing to the first answer",
        "",
        f"{processor()}, {options.threads} threads each, {options.size}, a weight file of {size:,.0f} MiB in the page"
        f" cache; medians (least, most) of {options.runs} alternating runs in processes of their own, from before the"
        f" interpreter's start; Python {sys.version.split()[0]}, {packages}.",
        "",
        "| engine | seconds | least, most | times the first | peak MiB | of the file |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for engine, row in found.items():
        (median, least, most), peak = row["first answer"], row["peak"]
        lines.append(
            f"| {NAMES[engine]} | {median:.3f} | {least:.3f}, {most:.3f} | {median / ours:.1f} | {peak:,.0f}"
            f" | {peak / size:.2f}x |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="From nothing to the first answer.")
    parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
    parser.add_argument("--size", default="12x768", choices=list(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5, help="of each engine, taking turns; medians are shown")
    parser.add_argument("--engines", nargs="+", choices=list(NAMES), help="default: all that can be imported here")
    parser.add_argument("--output", help="write the table to this file too")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    data = data_folder(parser, options.data)
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "model")
        create_folder(model, data / "tokenizers" / "klue-roberta", options.size)
        size = (Path(model) / "model.safetensors").stat().st_size / 2**20
        ids = token_ids(model)
        engines = options.engines or available()
        if any(engine.startswith("onnxruntime") for engine in engines):
            export_onnx(model, folder)
        results = measure(engines, dict(model=model, onnx=folder, threads=options.threads, ids=ids), options.runs)
    found = summary(results)
    names = ("transformers", "torch", "onnxruntime", "numpy")
    packages = ", ".join(f"{name} {version(name)}" for name in names if importlib.util.find_spec(name))
    text = table(found, size, options, packages)
    print(text)
    if options.json:
        about = {"processor": processor(), "threads": options.threads, "versions": packages}
        Path(options.json).write_text(json.dumps({**about, "results": {options.size: found}}, indent=1), encoding="utf-8")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
