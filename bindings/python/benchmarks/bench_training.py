"""Training speed against PyTorch: dropout on, AdamW, clipping, batch 32.

Usage: bench_training.py [--data FOLDER] [--sizes 4x256 12x768] [--threads 2] [--runs 3] [--output TABLE.md]
"""

import random
import time

from bench_speed import WARM_UP, Benchmark
from engines import adamw, padded, peak_megabytes, read_rows, sample, torch_update
from peers import quiet, torch_model

TORCH = ["torch-eager", "torch-sdpa", "torch-compile"]


def measure(settings):
    return measure_kluere(settings) if settings["engine"] == "kluere" else measure_torch(settings)


def measure_kluere(settings):
    import kluere

    context = kluere.Context(threads=settings["threads"])
    dataset = sample(settings, context)
    model = kluere.Model.open(settings["model"], context=context)
    trainer = kluere.Trainer(model, dataset, max_steps=settings["count"] // 32, batch_sentences=32)
    model.close()
    for _ in range(WARM_UP):
        trainer.step()
    begun = time.perf_counter()
    tokens = sum(info.tokens for info in trainer.steps())
    return dict(tokens=tokens, seconds=time.perf_counter() - begun, peak=peak_megabytes())


def measure_torch(settings):
    import torch

    quiet()
    torch.set_num_threads(settings["threads"])
    rows, labels = read_rows(settings)
    engine = settings["engine"]
    model = torch_model(settings["model"], "eager" if "eager" in engine else "sdpa").train()
    optimizer = adamw(model, 5e-5)
    compiled = torch.compile(model, dynamic=True) if "compile" in engine else model
    order = list(range(len(rows)))
    if engine.endswith("-sorted"):
        order.sort(key=lambda i: len(rows[i]))
    batches = [order[i : i + 32] for i in range(0, len(order), 32)]
    random.Random(settings["seed"]).shuffle(batches)
    tokens, begun = 0, 0.0
    for number, batch in enumerate(batches):
        if number == WARM_UP:
            tokens, begun = 0, time.perf_counter()
        ids, mask = padded([rows[i] for i in batch], model.config.pad_token_id)
        torch_update(compiled, optimizer, ids, mask, torch.tensor([labels[i] for i in batch]))
        tokens += sum(len(rows[i]) for i in batch)
    return dict(tokens=tokens, seconds=time.perf_counter() - begun, peak=peak_megabytes())


if __name__ == "__main__":
    Benchmark(
        __file__,
        "Training",
        "Batch 32, dropout 0.1, AdamW, clipping. Tokens are real ones: padding does not count. The torch engines take random"
        " batches, padded to the longest; -sorted: the same sentences batched by length, which leaves nothing to pad.",
        ["kluere", *TORCH, *(f"{name}-sorted" for name in TORCH)],
        measure,
        {"training": ("tokens/s", lambda row: row["tokens"] / row["seconds"], True)},
    ).main()
