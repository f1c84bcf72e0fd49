"""The main job in both engines: train on klue-re-v1.1_train.json from the same random weights, report on dev.

Same folder of initial weights, same tokens (kluere's), same optimizer, schedule, epochs and batch; order of the rows
and dropout are each engine's own. Last weights, dev looked at once. --group-by-length lets sentences of like length share
a batch in both engines, which spares torch most of its padding.

Usage: parity_run.py [--engine kluere|torch|both] [--data FOLDER] [--epochs 3] [--lr 3e-4] [--threads 2] [--seed 42]
                     [--rows N] [--group-by-length] [--output FILE.json]
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from bench_speed import data_folder
from engines import SIZES, adamw, child, create_folder, encode, open_torch, padded, peak_megabytes, steps_of
from engines import torch_update

BATCH = 32
WARM_UP_RATIO = 0.1


def run(settings):
    import kluere

    context = kluere.Context(threads=settings["threads"])
    train = kluere.Dataset.read(settings["train"], context=context)
    dev = kluere.Dataset.read(settings["dev"], context=context)
    if settings["rows"]:
        train, dev = train[: settings["rows"]], dev[: settings["rows"]]
    model = kluere.Model.open(settings["model"], context=context)
    trainer = run_kluere if settings["engine"] == "kluere" else run_torch
    seconds, probabilities = trainer(settings, model, train, dev)
    metrics = kluere.compute_metrics(probabilities, model.label_indices(dev), label_names=model.labels)
    result = metrics.as_dict()
    result.update(engine=settings["engine"], train_seconds=seconds, peak=peak_megabytes())
    return result


def run_kluere(settings, model, train, dev):
    import kluere

    trainer = kluere.Trainer(
        model, train, epochs=settings["epochs"], learning_rate=settings["lr"], batch_sentences=BATCH,
        warmup_ratio=WARM_UP_RATIO, schedule="linear", weight_decay=0.01, max_grad_norm=1.0, seed=settings["seed"],
        group_by_length=settings["group_by_length"],
    )
    begun = time.perf_counter()
    trainer.run(progress=True)
    seconds = time.perf_counter() - begun
    return seconds, trainer.export_model().predict(dev)


def run_torch(settings, model, train, dev):
    import torch
    from transformers import get_linear_schedule_with_warmup

    rows, dev_rows = encode(model, train), encode(model, dev)
    labels = [int(label) for label in model.label_indices(train)]
    torch.manual_seed(settings["seed"])
    theirs = open_torch(settings["model"], settings["threads"]).train()
    pad = theirs.config.pad_token_id
    optimizer = adamw(theirs, settings["lr"])
    steps = steps_of(len(rows), BATCH, settings["epochs"])
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARM_UP_RATIO * steps), steps)
    shuffle = random.Random(settings["seed"])
    order, step, begun = [], 0, time.perf_counter()
    while step < steps:
        if not order:
            order = epoch_order([len(row) for row in rows], shuffle, settings["group_by_length"])
        batch, order = order[:BATCH], order[BATCH:]
        ids, mask = padded([rows[i] for i in batch], pad)
        loss = torch_update(theirs, optimizer, ids, mask, torch.tensor([labels[i] for i in batch]))
        schedule.step()
        step += 1
        if step % 100 == 0:
            print(f"torch: {step}/{steps} loss {loss:.4f} {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    seconds = time.perf_counter() - begun
    theirs.eval()
    by_length = sorted(range(len(dev_rows)), key=lambda i: len(dev_rows[i]))
    result = torch.zeros(len(dev_rows), theirs.config.num_labels)
    with torch.inference_mode():
        for first in range(0, len(by_length), 64):
            batch = by_length[first : first + 64]
            ids, mask = padded([dev_rows[i] for i in batch], pad)
            result[batch] = torch.softmax(theirs(input_ids=ids, attention_mask=mask).logits, 1)
    return seconds, result.tolist()


def epoch_order(lengths, shuffle, grouped):
    """Rows in random order; grouped: 50 batches at a time sorted by length, then the batches in random order."""
    order = list(range(len(lengths)))
    shuffle.shuffle(order)
    if not grouped:
        return order
    size = 50 * BATCH
    chunks = [sorted(order[i : i + size], key=lambda row: lengths[row]) for i in range(0, len(order), size)]
    batches = [chunk[i : i + BATCH] for chunk in chunks for i in range(0, len(chunk), BATCH)]
    # A batch that is not full comes last, or the following ones would be cut in other places.
    full = [batch for batch in batches if len(batch) == BATCH]
    rest = [row for batch in batches if len(batch) < BATCH for row in batch]
    shuffle.shuffle(full)
    return [row for batch in full for row in batch] + rest


def main():
    if "--engine-settings" in sys.argv:
        print(json.dumps(run(json.loads(sys.argv[sys.argv.index("--engine-settings") + 1]))))
        return
    parser = argparse.ArgumentParser(description="The main job in both engines.")
    parser.add_argument("--engine", default="both", choices=["kluere", "torch", "both"])
    parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
    parser.add_argument("--size", default="4x256", choices=list(SIZES))
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--rows", type=int, default=0, help="only the first N rows of each file (a trial)")
    parser.add_argument("--group-by-length", action="store_true")
    parser.add_argument("--output", help="write the figures to this file too")
    options = parser.parse_args()
    data = data_folder(parser, options.data)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "initial")
        create_folder(model, data / "tokenizers" / "klue-roberta", options.size)
        for engine in ["kluere", "torch"] if options.engine == "both" else [options.engine]:
            results.append(
                child(
                    __file__,
                    engine=engine,
                    model=model,
                    train=str(data / "klue-re" / "klue-re-v1.1_train.json"),
                    dev=str(data / "klue-re" / "klue-re-v1.1_dev.json"),
                    epochs=options.epochs,
                    lr=options.lr,
                    threads=options.threads,
                    seed=options.seed,
                    rows=options.rows,
                    group_by_length=options.group_by_length,
                )
            )
            r = results[-1]
            print(
                f"{engine:7}  micro-F1 {100 * r['micro_f1']:.2f}  AUPRC {100 * r['auprc']:.2f}  "
                f"training {r['train_seconds']:.0f} s  peak {r['peak']:.0f} MB",
                flush=True,
            )
    if len(results) == 2:
        difference = 100 * (results[0]["micro_f1"] - results[1]["micro_f1"])
        print(f"difference in micro-F1: {difference:+.2f} points")
    if options.output:
        Path(options.output).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
