"""Inference: batches of 32 in random order on the peers' side (kluere batches as it likes, and tokenizes too), and one
sentence of about 64 tokens at a time. PyTorch eager, sdpa and compiled, onnxruntime as exported and fused, CTranslate2; their
int8 forms.

Usage: bench_inference.py [--data FOLDER] [--sizes 4x256 12x768] [--threads 2] [--runs 3] [--output TABLE.md] [--json FILE]
"""

import statistics
import time

from bench_speed import WARM_UP, Benchmark
from engines import peak_megabytes, read_rows, sample
from peers import FLOAT32, INT8, export, open_peer

SINGLE = 64  # tokens


def single_row(rows):
    """The place of the sentence that is nearest to SINGLE tokens, the first of those."""
    return min(range(len(rows)), key=lambda i: abs(len(rows[i]) - SINGLE))


def latency(predict, size):
    """Milliseconds of one call, the median of many."""
    seconds = []
    for _ in range(30 if size == "12x768" else 200):
        begun = time.perf_counter()
        predict()
        seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds)


def measure(settings):
    rows = read_rows(settings)[0]
    number = single_row(rows)
    opened = open_kluere if settings["engine"].startswith("kluere") else open_other
    everything, one, logits = opened(settings, rows, number)
    everything(0, 32 * WARM_UP)
    begun = time.perf_counter()
    everything(32 * WARM_UP, len(rows))
    seconds = time.perf_counter() - begun
    one()
    tokens = sum(map(len, rows[32 * WARM_UP :]))
    return dict(
        tokens=tokens, seconds=seconds, single=latency(one, settings["size"]), peak=peak_megabytes(), logits=logits()
    )


def open_kluere(settings, rows, number):
    import kluere

    context = kluere.Context(threads=settings["threads"])
    dataset = sample(settings, context)
    predictor = kluere.Predictor(kluere.Model.open(settings["model"], context=context), output="logits", **options(settings))
    example = dataset[number]
    return (
        lambda begin, end: predictor.predict(dataset[begin:end]),
        lambda: predictor.predict([example]),
        lambda: [float(x) for x in predictor.predict(dataset[:4]).ravel()],
    )


def options(settings):
    form = settings["engine"].partition("-")[2]
    return {"weights": form} if form else {}


def open_other(settings, rows, number):
    logits = open_peer(settings["engine"], settings["model"], settings["exported"], settings["threads"])

    def everything(begin, end):
        for first in range(begin, end, 32):
            logits(rows[first : min(first + 32, end)])

    return everything, lambda: logits([rows[number]]), lambda: [float(x) for x in logits(rows[:4]).ravel()]


def prepare(settings):
    return export(settings["model"], settings["exported"], settings["size"])


if __name__ == "__main__":
    Benchmark(
        __file__,
        "Inference",
        "Batches of 32 in random order, padded to the longest where an engine pads (CTranslate2 does not), and one sentence of"
        f" about {SINGLE} tokens. Tokens are real ones. Equal logits were checked first (fp32: 1e-4).",
        ["kluere", *FLOAT32, "kluere-int8", "kluere-int8_reduced", *INT8],
        measure,
        {
            "batches": ("tokens/s", lambda row: row["tokens"] / row["seconds"], True),
            "one sentence": ("ms", lambda row: row["single"], False),
        },
        prepare,
    ).main()
