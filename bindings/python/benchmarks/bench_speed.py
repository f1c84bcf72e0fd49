"""What bench_training.py and bench_inference.py share: alternating runs in processes of their own, one table, one JSON file."""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from engines import HERE, SIZES, child, create_folder, processor, write_rows

WARM_UP = 2  # batches before the clock starts


def data_folder(parser, given):
    folder = Path(given) if given else HERE.parents[3] / "shared" / "data"
    if not (folder / "klue-re").is_dir():
        parser.error(f"{folder} has no klue-re: give --data or set KLUERE_DATA")
    return folder


def versions(engines):
    """Of the packages behind the engines' names."""
    packages = {name.split("-")[0] for name in engines} - {"kluere"}
    found = []
    for package in sorted(packages | ({"transformers"} if "torch" in packages else set())):
        found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join(found)


class Benchmark:
    """script: the file that a child runs; engines: all it knows; measure(settings): in the child, a dict with at least peak;
    figures: {name: (unit, of one result, whether larger is better)}; prepare(settings): in a child before the first run."""

    def __init__(self, script, title, text, engines, measure, figures, prepare=None):
        self.script, self.title, self.text, self.engines, self.measure = script, title, text, engines, measure
        self.figures, self.prepare = figures, prepare

    def main(self):
        if "--engine-settings" in sys.argv:
            settings = json.loads(sys.argv[sys.argv.index("--engine-settings") + 1])
            steps = {"rows": write_rows, "prepare": self.prepare}
            print(json.dumps(steps.get(settings["engine"], self.measure)(settings)))
            return
        options = self._options()
        results = {size: self._measure_size(size, options) for size in options.sizes}
        summary = {size: self._summary(rows) for size, rows in results.items()}
        table = self._table(summary, results, options)
        print(table)
        if options.output:
            Path(options.output).write_text(table, encoding="utf-8")
        if options.json:
            found = {"processor": processor(), "threads": options.threads, "versions": versions(options.engines)}
            Path(options.json).write_text(json.dumps({**found, "results": summary}, indent=1), encoding="utf-8")

    def _options(self):
        parser = argparse.ArgumentParser(description=self.title)
        parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
        parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
        parser.add_argument("--engines", nargs="+", default=self.engines, choices=self.engines)
        parser.add_argument("--threads", type=int, default=2)
        parser.add_argument("--runs", type=int, default=3, help="of each engine, taking turns; medians are shown")
        parser.add_argument("--batches", type=int, help="measured batches of a run (default: 24, or 4 at base size)")
        parser.add_argument("--output", help="write the table to this file too")
        parser.add_argument("--json", help="write the figures to this file")
        options = parser.parse_args()
        options.data = data_folder(parser, options.data)
        return options

    def _measure_size(self, size, options):
        results = {engine: [] for engine in options.engines}
        batches = options.batches or (24 if size == "4x256" else 4)
        with tempfile.TemporaryDirectory() as folder:
            settings = dict(
                model=str(Path(folder) / "model"),
                exported=str(Path(folder) / "exported"),
                train=str(options.data / "klue-re" / "klue-re-v1.1_train.json"),
                rows=str(Path(folder) / "rows.json"),
                size=size,
                threads=options.threads,
                count=32 * (batches + WARM_UP),
            )
            create_folder(settings["model"], options.data / "tokenizers" / "klue-roberta", size)
            if self.prepare:
                child(self.script, engine="prepare", **settings)
            for run in range(options.runs):
                child(self.script, engine="rows", seed=run, **settings)
                for engine in options.engines:
                    result = child(self.script, engine=engine, seed=run, **settings)
                    results[engine].append(result)
                    shown = {name: value for name, value in result.items() if name != "logits"}
                    print(f"{size} run {run} {engine}: {shown}", file=sys.stderr, flush=True)
        check_agreement(results)
        return results

    def _summary(self, results):
        """{engine: {figure: [median, least, most]}}, peak memory in megabytes."""
        summary = {}
        for engine, rows in results.items():
            found = {}
            for name, (_, of, _) in self.figures.items():
                values = sorted(of(row) for row in rows)
                found[name] = [statistics.median(values), values[0], values[-1]]
            summary[engine] = {**found, "peak": max(row["peak"] for row in rows)}
        return summary

    def _table(self, summary, results, options):
        lines = [
            f"# {self.title}",
            "",
            f"{processor()}, {options.threads} threads each, real sentences of KLUE-RE train, medians (least to most) of"
            f" {options.runs} alternating runs in processes of their own; {versions(options.engines)}. {self.text}",
            "",
        ]
        head = "".join(f" {name}, {unit} | kluere is faster by |" for name, (unit, _, _) in self.figures.items())
        lines += [f"| size | engine |{head} peak MB |", "|---|---|" + "---:|" * (2 * len(self.figures) + 1)]
        for size, engines in summary.items():
            for engine, found in engines.items():
                cells = ""
                for name, (_, _, larger) in self.figures.items():
                    value, least, most = found[name]
                    ratio = ratio_text(engines.get("kluere", {}).get(name), found[name], larger)
                    cells += f" {number(value)} ({number(least)} to {number(most)}) | {ratio if engine != 'kluere' else ''} |"
                lines.append(f"| {size} | {engine} |{cells} {found['peak']:,.0f} |")
        return "\n".join(lines) + "\n"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def ratio_text(ours, theirs, larger):
    if not ours:
        return ""
    return f"{ours[0] / theirs[0] if larger else theirs[0] / ours[0]:.2f}x"


def check_agreement(results):
    """Before speed counts: every fp32 engine gave the same logits, run by run; int8 ones are near."""
    reference = results.get("kluere") or next(iter(results.values()))
    for engine, rows in results.items():
        for ours, theirs in zip(reference, rows):
            if "logits" not in ours or "logits" not in theirs:
                continue
            difference = max(abs(a - b) for a, b in zip(ours["logits"], theirs["logits"]))
            limit = 0.1 if "int8" in engine else 1e-4
            if not difference <= limit:
                sys.exit(f"{engine} does not agree with kluere: logits differ by {difference:.3g}, more than {limit:g}")
