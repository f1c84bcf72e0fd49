"""PyTorch on the same shapes and lengths: transformers with padding, a packed model on flash attention; both also compiled."""

import random
import time

import gpu_data
import torch
import torch.nn as nn
import torch.nn.functional as F


def timed(body, count, warm_up=5):
    for _ in range(warm_up):
        body()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(count):
        body()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / count


def copy_rate(row):
    source = torch.empty(1 << 31, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    row("copy on the device", f"{2 * (1 << 31) / timed(lambda: target.copy_(source), 10) / 1e12:.2f} TB/s", "read and written")


def matrix_rate(row):
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    row("8192 x 8192 x 8192 bf16", f"{2 * 8192**3 / timed(lambda: a @ b, 10) / 1e12:.0f} TFLOP/s", "torch")


def batches(lengths, size, grouped, seed=0):
    """Lists of lengths: `size` sentences each, at random or sorted within blocks of 50 batches."""
    order = lengths[:]
    random.Random(seed).shuffle(order)
    if grouped:
        block = 50 * size
        order = [n for i in range(0, len(order), block) for n in sorted(order[i : i + block])]
    found = [order[i : i + size] for i in range(0, len(order) - size, size)]
    random.Random(seed).shuffle(found)
    return found


def packed_batches(lengths, tokens, seed=0):
    order, found, batch = lengths[:], [], []
    random.Random(seed).shuffle(order)
    for n in order:
        if sum(batch) + n > tokens:
            found.append(batch)
            batch = []
        batch.append(n)
    return found


def update(model, optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cuda", torch.bfloat16):
        value = loss()
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def padded(shape, lengths, size, grouped, compiled, steps):
    """transformers with padding to the longest; returns (tokens/s, seconds a step)."""
    from transformers import RobertaConfig, RobertaForSequenceClassification

    layers, hidden, heads, intermediate = gpu_data.SHAPES[shape]
    config = RobertaConfig(
        vocab_size=gpu_data.VOCABULARY, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=intermediate, max_position_embeddings=514, type_vocab_size=1, num_labels=30, pad_token_id=1,
        attn_implementation="sdpa",
    )
    model = RobertaForSequenceClassification(config).cuda().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    run = torch.compile(model, dynamic=True) if compiled else model
    used = batches(lengths, size, grouped)[: steps + 10]
    data = []
    for batch in used:
        longest = (max(batch) + 7) // 8 * 8 if compiled else max(batch)
        ids = torch.randint(12, gpu_data.VOCABULARY, (size, longest))
        mask = torch.arange(longest)[None] < torch.tensor(batch)[:, None]
        ids[~mask] = 1
        data.append([x.cuda() for x in (ids, mask.long(), torch.randint(0, 30, (size,)))])
    place = iter(data)

    def step():
        ids, mask, labels = next(place)
        update(model, optimizer, lambda: run(input_ids=ids, attention_mask=mask, labels=labels).loss)

    seconds = timed(step, steps, 10)
    return sum(map(sum, used[10:])) / steps / seconds, seconds


class Packed(nn.Module):
    """RoBERTa's encoder and head over packed tokens, attention by PyTorch's own flash kernel with dropout."""

    def __init__(self, shape):
        super().__init__()
        layers, hidden, self.heads, intermediate = gpu_data.SHAPES[shape]
        self.word, self.position = nn.Embedding(gpu_data.VOCABULARY, hidden), nn.Embedding(514, hidden)
        self.kind, self.norm = nn.Embedding(1, hidden), nn.LayerNorm(hidden, 1e-5)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                dict(
                    qkv=nn.Linear(hidden, 3 * hidden), out=nn.Linear(hidden, hidden), norm1=nn.LayerNorm(hidden, 1e-5),
                    up=nn.Linear(hidden, intermediate), down=nn.Linear(intermediate, hidden),
                    norm2=nn.LayerNorm(hidden, 1e-5),
                )
            )
            for _ in range(layers)
        )
        self.dense, self.output = nn.Linear(hidden, hidden), nn.Linear(hidden, 30)

    def forward(self, ids, positions, offsets, labels):
        x = F.dropout(self.norm(self.word(ids) + self.position(positions) + self.kind.weight[0]), 0.1)
        for layer in self.layers:
            q, k, v = layer.qkv(x).view(len(ids), 3, self.heads, -1).unbind(1)
            attended = torch.ops.aten._flash_attention_forward(q, k, v, offsets, offsets, 256, 256, 0.1, False, False)[0]
            x = layer.norm1(x + F.dropout(layer.out(attended.reshape(len(ids), -1)), 0.1))
            x = layer.norm2(x + F.dropout(layer.down(F.gelu(layer.up(x))), 0.1))
        first = F.dropout(x[offsets[:-1].long()], 0.1)
        return F.cross_entropy(self.output(F.dropout(torch.tanh(self.dense(first)), 0.1)).float(), labels)


def packed(shape, lengths, tokens, compiled, steps):
    model = Packed(shape).cuda().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    run = torch.compile(model, dynamic=True) if compiled else model
    used = packed_batches(lengths, tokens)[: steps + 10]
    data = []
    for batch in used:
        whole = batch + ([-sum(batch) % 64] if sum(batch) % 64 else [])
        offsets = torch.tensor([0] + whole).cumsum(0).int()
        positions = torch.cat([torch.arange(2, 2 + n) for n in whole])
        ids = torch.randint(12, gpu_data.VOCABULARY, (len(positions),))
        data.append([x.cuda() for x in (ids, positions, offsets, torch.randint(0, 30, (len(whole),)))])
    place = iter(data)
    seconds = timed(lambda: update(model, optimizer, lambda: run(*next(place))), steps, 10)
    return sum(map(sum, used[10:])) / steps / seconds, seconds


def run(row, options):
    lengths = gpu_data.read_lengths(options.lengths, 0)
    steps = 10 if options.quick else 25
    plans = [
        ("transformers, batch 32, random order", padded, (32, False, False)),
        ("transformers, batch 32, grouped", padded, (32, True, False)),
        ("transformers, batch 118, grouped", padded, (118, True, False)),
        ("packed flash attention, 2240 tokens", packed, (2240, False)),
        ("packed flash attention, 8192 tokens", packed, (8192, False)),
        # Compiling may take minutes: last.
        ("packed flash attention, compiled, 8192 tokens", packed, (8192, True)),
        ("packed flash attention, compiled, 2240 tokens", packed, (2240, True)),
        ("transformers, compiled, batch 32, grouped", padded, (32, True, True)),
    ]
    for name, kind, arguments in plans:
        try:
            rate, seconds = kind(options.shape, lengths, *arguments, steps)
            row(f"PyTorch, bf16 autocast: {name}", f"{rate / 1e3:.1f} k tokens/s", f"{1e3 * seconds:.2f} ms an update")
        except Exception as problem:  # a peer that cannot run is a line of the table
            row(f"PyTorch, bf16 autocast: {name}", f"failed: {str(problem)[:120]}")
        torch.cuda.empty_cache()
