"""Batch inference speed against PyTorch eager, batch 32 on its side; kluere batches as it likes, and tokenizes too.

Usage: bench_inference.py [--data FOLDER] [--sizes 4x256 12x768] [--threads 2] [--runs 5] [--output TABLE.md]
"""

import time

from bench_speed import WARM_UP, main
from engines import open_torch, padded, peak_megabytes, read_rows, sample


def measure(settings):
    return measure_kluere(settings) if settings["engine"] == "kluere" else measure_torch(settings)


def measure_kluere(settings):
    import kluere

    context = kluere.Context(threads=settings["threads"])
    dataset = sample(settings, context)
    predictor = kluere.Predictor(kluere.Model.open(settings["model"], context=context), output="logits")
    warm_up, measured = dataset[: 32 * WARM_UP], dataset[32 * WARM_UP :]
    tokens = sum(map(len, read_rows(settings)[0][32 * WARM_UP :]))
    predictor.predict(warm_up)
    begun = time.perf_counter()
    predictor.predict(measured)
    return dict(tokens=tokens, seconds=time.perf_counter() - begun, peak=peak_megabytes())


def measure_torch(settings):
    import torch

    rows, _ = read_rows(settings)
    model = open_torch(settings["model"], settings["threads"]).eval()
    warm_up, measured = rows[: 32 * WARM_UP], rows[32 * WARM_UP :]
    if settings["engine"] == "torch-sorted":
        measured.sort(key=len)

    def predict(some):
        for first in range(0, len(some), 32):
            ids, mask = padded(some[first : first + 32], model.config.pad_token_id)
            model(input_ids=ids, attention_mask=mask)

    with torch.inference_mode():
        predict(warm_up)
        begun = time.perf_counter()
        predict(measured)
    seconds = time.perf_counter() - begun
    return dict(tokens=sum(map(len, measured)), seconds=seconds, peak=peak_megabytes())


if __name__ == "__main__":
    main(__file__, "Batch inference against PyTorch eager", measure)
