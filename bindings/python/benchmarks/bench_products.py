"""Matrix products at BERT's shapes: kluere's own (its C sources, compiled here) against MKL (torch.mm), oneDNN (PyTorch's,
also with weights reordered beforehand) and OpenBLAS (numpy). The rate is that of a run's median call.

Usage: bench_products.py [--threads 2] [--runs 3] [--rows 1 16 64 512 2048] [--output TABLE.md] [--json FILE]
Needs clang (CC).
"""

import argparse
import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_speed import number
from engines import HERE, processor

SOURCES = HERE.parents[2] / "Sources" / "CKluereCPU"
LIBRARIES = ["kluere", "MKL", "oneDNN", "OpenBLAS"]
#: in, out
LAYERS = [(256, 256), (256, 1024), (1024, 256), (768, 768), (768, 3072), (3072, 768), (1024, 4096)]
#: What a layer computes of rows x, weights w [out, in] and gradient dy: which library has it.
PRODUCTS = {
    "forward": "y = x w^T",
    "forward, packed": "the same, w packed beforehand",
    "gradient of x": "dx = dy w",
    "gradient of w": "dw = dy^T x",
}


def compiler():
    """clang: the Swift toolchain has one too."""
    swift = shutil.which(os.environ.get("SWIFT", "swift"))
    beside = Path(swift).resolve().parent / "clang" if swift else Path("clang")
    return os.environ.get("CC") or shutil.which("clang") or str(beside)


def compile_objects(folder, driver, *flags):
    """kluere's arithmetic, compiled as the library's, and with it a C file beside this one, which takes the flags as well."""
    objects = []
    for source in [*sorted(SOURCES.glob("*.c")), HERE / driver]:
        out = Path(folder) / (source.stem + ".o")
        more = flags if source.name == driver else ()
        include = f"-I{SOURCES / 'include'}"
        line = [compiler(), "-O3", "-fPIC", "-fno-math-errno", "-w", include, *more, "-c", str(source), "-o", str(out)]
        subprocess.run(line, check=True)
        objects.append(str(out))
    return objects


def build(folder):
    """kluere's arithmetic as a library of its own: the product is no export of libkluere.so."""
    library = Path(folder) / "products.so"
    # The rate of the machine may use all that it has; kluere's files choose at run time.
    objects = compile_objects(folder, "products.c", "-march=native")
    subprocess.run([compiler(), "-shared", "-o", str(library), *objects, "-lm", "-lpthread"], check=True)
    return library


# ---- libraries: each is a function (product, x, w, dy) -> call, where call() computes once


def kluere_products(library, threads):
    import numpy as np

    c = ctypes.CDLL(str(library))
    for name in ("kk_engine_create", "kk_packed_size"):
        getattr(c, name).restype = ctypes.c_void_p if name.endswith("create") else ctypes.c_size_t
    c.fma_rate.restype = ctypes.c_double
    engine = ctypes.c_void_p(c.kk_engine_create(c.kk_isa_best(), threads))

    def pointer(array):
        return ctypes.c_void_p(array.ctypes.data)

    def prepare(product, x, w, dy):
        (rows, width), out = x.shape, w.shape[0]
        sizes = [ctypes.c_size_t(n) for n in (rows, out, width)]
        if product == "forward, packed":
            packed = np.empty(c.kk_packed_size(engine, *sizes[1:]) + 16, np.float32)
            c.kk_pack(engine, pointer(packed), pointer(w), *sizes[1:])
            y = np.empty_like(dy)
            keep = (packed, y, x)
            return lambda: c.kk_linear_packed(engine, pointer(y), pointer(x), pointer(packed), None, *sizes, 0), keep
        if product == "forward":
            y = np.empty_like(dy)
            return lambda: c.kk_linear(engine, pointer(y), None, pointer(x), pointer(w), None, *sizes, 0), (y, x, w)
        if product == "gradient of x":
            dx = np.empty_like(x)
            return lambda: c.kk_linear_backward_input(engine, pointer(dx), pointer(dy), pointer(w), *sizes, 0), (dx, dy, w)
        dw = np.zeros_like(w)
        return lambda: c.kk_linear_backward_weight(engine, pointer(dw), None, pointer(dy), pointer(x), *sizes), (dw, dy, x)

    return prepare, lambda: c.fma_rate(2_000_000) * threads


def torch_products(threads):
    import torch

    torch.set_num_threads(threads)

    def prepare(product, *arrays):
        x, w, dy = map(torch.from_numpy, arrays)
        if product == "forward, packed":
            return None, None
        if product == "forward":
            y = torch.empty_like(dy)
            return lambda: torch.mm(x, w.t(), out=y), y
        if product == "gradient of x":
            dx = torch.empty_like(x)
            return lambda: torch.mm(dy, w, out=dx), dx
        dw = torch.empty_like(w)
        return lambda: torch.mm(dy.t(), x, out=dw), dw

    return prepare, None


def onednn_products(threads):
    import torch

    torch.set_num_threads(threads)
    linear = torch.ops.mkldnn._linear_pointwise

    def prepare(product, *arrays):
        x, w, dy = map(torch.from_numpy, arrays)
        left, right = {"gradient of x": (dy, w.t()), "gradient of w": (dy.t(), x.t())}.get(product, (x, w))
        if product == "forward, packed":
            right = torch.ops.mkldnn._reorder_linear_weight(w, x.shape[0])
        return lambda: linear(left, right, None, "none", [], ""), None

    return prepare, None


def numpy_products(threads):
    import numpy as np

    def prepare(product, x, w, dy):
        if product == "forward, packed":
            return None, None
        left, right, shape = {
            "forward": (x, w.T, dy.shape), "gradient of x": (dy, w, x.shape), "gradient of w": (dy.T, x, w.shape)
        }[product]
        result = np.empty(shape, np.float32)
        return lambda: np.matmul(left, right, out=result), result

    return prepare, None


def measure(settings):
    """[{product, in, out, rows, rate}], and for kluere the machine's rate beside each."""
    name, threads = settings["library"], settings["threads"]
    opened = {
        "kluere": lambda: kluere_products(settings["built"], threads),
        "MKL": lambda: torch_products(threads),
        "oneDNN": lambda: onednn_products(threads),
        "OpenBLAS": lambda: numpy_products(threads),
    }
    prepare, peak = opened[name]()
    import numpy as np

    random = np.random.default_rng(settings["seed"])
    found = []
    for width, out in LAYERS:
        w = random.standard_normal((out, width), np.float32)
        for rows in settings["rows"]:
            x = random.standard_normal((rows, width), np.float32)
            dy = random.standard_normal((rows, out), np.float32)
            for product in PRODUCTS:
                call, _keep = prepare(product, x, w, dy)
                if call is None:
                    continue
                flops = 2.0 * rows * width * out
                times, begun = [], time.perf_counter()
                call()
                while len(times) < 5 or (time.perf_counter() - begun < settings["seconds"] and len(times) < 2000):
                    start = time.perf_counter()
                    call()
                    times.append(time.perf_counter() - start)
                rate = flops / statistics.median(times) * 1e-9
                row = {"product": product, "in": width, "out": out, "rows": rows, "rate": rate}
                found.append({**row, "peak": peak()} if peak else row)
    return found


def run_child(**settings):
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["OPENBLAS_NUM_THREADS"] = str(settings["threads"])
    line = [sys.executable, __file__, "--settings", json.dumps(settings)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    if "--settings" in sys.argv:
        print(json.dumps(measure(json.loads(sys.argv[sys.argv.index("--settings") + 1]))))
        return
    parser = argparse.ArgumentParser(description="Matrix products against MKL, oneDNN and OpenBLAS.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 64, 512, 2048])
    parser.add_argument("--seconds", type=float, default=0.1, help="for each product of a run")
    parser.add_argument("--output")
    parser.add_argument("--json")
    options = parser.parse_args()
    rates, peaks = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        built = str(build(folder))
        for run in range(options.runs):
            for library in LIBRARIES:
                settings = dict(threads=options.threads, rows=options.rows, seconds=options.seconds, seed=run, built=built)
                for row in run_child(library=library, **settings):
                    key = (row["product"], row["in"], row["out"], row["rows"])
                    rates.setdefault(key, {}).setdefault(library, []).append(row["rate"])
                    if "peak" in row:
                        peaks.setdefault(key, []).append(row["rate"] / row["peak"])
                print(f"run {run} {library}", file=sys.stderr, flush=True)
    table, summary = report(rates, peaks, options)
    print(table)
    if options.output:
        Path(options.output).write_text(table, encoding="utf-8")
    if options.json:
        Path(options.json).write_text(json.dumps(summary, indent=1), encoding="utf-8")


def report(rates, peaks, options):
    lines = [
        "# Matrix products",
        "",
        f"{processor()}, {options.threads} threads each, fp32, GFLOP/s, medians of {options.runs} alternating runs. Of the"
        " machine's rate: of fused multiply-adds, measured beside each product.",
        "",
        "| product | in | out | rows | kluere | of the machine's rate | MKL | oneDNN | OpenBLAS | kluere against the best |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ratios = {}
    for key, found in rates.items():
        product, width, out, rows = key
        rate = {library: statistics.median(values) for library, values in found.items()}
        if product == "forward, packed":
            # What packs nothing beforehand is compared as it is.
            plain = rates[("forward", width, out, rows)]
            rate = {**{library: statistics.median(v) for library, v in plain.items() if library != "kluere"}, **rate}
        best = max(value for library, value in rate.items() if library != "kluere")
        ratio = rate["kluere"] / best
        share = statistics.median(peaks[key])
        ratios.setdefault((product, rows), []).append((ratio, share))
        cells = " | ".join(number(rate[library]) if library in rate else "" for library in LIBRARIES[1:])
        lines.append(
            f"| {product} | {width} | {out} | {rows} | {number(rate['kluere'])} | {share:.2f} | {cells} | {ratio:.2f}x |"
        )
    lines += ["", "| product | rows | against the best, median of the layers | of the machine's rate |", "|---|---:|---:|---:|"]
    summary = []
    for (product, rows), found in ratios.items():
        ratio, share = (statistics.median(values) for values in zip(*found))
        lines.append(f"| {product} | {rows} | {ratio:.2f}x | {share:.2f} |")
        summary.append({"product": product, "rows": rows, "ratio": ratio, "share": share})
    everything = [pair for found in ratios.values() for pair in found]
    ratio, share = (statistics.median(values) for values in zip(*everything))
    lines += ["", f"Median of all: {ratio:.2f}x the best of the others, {share:.2f} of the machine's rate."]
    return "\n".join(lines) + "\n", {"median": {"ratio": ratio, "share": share}, "groups": summary}


if __name__ == "__main__":
    main()
