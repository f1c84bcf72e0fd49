"""What the benchmarks share: the recipe in PyTorch + transformers, batches from kluere's own tokens, and run()."""

import json
import math
import os
import platform
import random
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SIZES = {  # layers, hidden, heads, intermediate
    "4x256": (4, 256, 4, 1024),
    "12x768": (12, 768, 12, 3072),
}


def processor():
    """The CPU's name, where Linux tells it."""
    try:
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def peak_megabytes():
    """Largest resident size of this process so far; Linux counts kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def create_folder(folder, tokenizer, size, seed=42):
    """The initial model folder that both engines open: random weights, made by kluere."""
    import kluere

    layers, hidden, heads, intermediate = SIZES[size]
    kluere.Model.create(
        kluere.Tokenizer(tokenizer),
        family="roberta",
        layer_count=layers,
        hidden_size=hidden,
        head_count=heads,
        intermediate_size=intermediate,
        seed=seed,
    ).save(folder)


def encode(model, dataset):
    """The token ids of every row as the model sees them, so that both engines get equal inputs."""
    return [model.encode(example).ids for example in dataset]


def sample(settings, context):
    """The sentences of one run: as many as it needs, drawn from the train file by the run's seed."""
    import kluere

    with kluere.Dataset.read(settings["train"], context=context) as everything:
        return everything.subset(random.Random(settings["seed"]).sample(range(len(everything)), settings["count"]))


def write_rows(settings):
    """Writes ids and labels of the sample for the torch engines, which then run without kluere in their process."""
    import kluere

    with kluere.Context(threads=1) as context:
        dataset = sample(settings, context)
        model = kluere.Model.open(settings["model"], context=context)
        labels = [int(label) for label in model.label_indices(dataset)]
        Path(settings["rows"]).write_text(json.dumps([encode(model, dataset), labels]))
    return {}


def read_rows(settings):
    return json.loads(Path(settings["rows"]).read_text())


def open_torch(folder, threads):
    """The same folder in transformers, with its default attention (sdpa on a CPU)."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    return AutoModelForSequenceClassification.from_pretrained(folder)


def padded(rows, pad):
    """ids and attention mask, padded to the longest of the rows."""
    import torch

    length = max(map(len, rows))
    ids = torch.full((len(rows), length), pad)
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return ids, mask


def adamw(model, learning_rate, weight_decay=0.01):
    """torch.optim.AdamW without decay on biases and layer norms."""
    import torch

    plain, decayed = [], []
    for name, parameter in model.named_parameters():
        (plain if name.endswith(".bias") or "LayerNorm" in name else decayed).append(parameter)
    groups = [dict(params=decayed, weight_decay=weight_decay), dict(params=plain, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=learning_rate)


def torch_update(model, optimizer, ids, mask, labels):
    """One update as the recipe has it; returns the loss."""
    import torch

    loss = torch.nn.functional.cross_entropy(model(input_ids=ids, attention_mask=mask).logits, labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def steps_of(rows, batch, epochs):
    return math.ceil(math.ceil(rows / batch) * epochs)


def child(script, **settings):
    """Runs `script --engine-settings JSON` in its own process and returns what it printed last, as JSON."""
    begun = time.monotonic()
    # A limit on OpenMP's threads in the caller's shell would hold back one engine only.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    line = [sys.executable, str(script), "--engine-settings", json.dumps(settings)]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{settings}: exit {done.returncode}\n{done.stderr[-4000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    result["process_seconds"] = time.monotonic() - begun
    return result
