"""Masked-LM training against PyTorch and transformers, on the same text: random weights, dropout on, AdamW,
clipping. Prints tokens a second and the losses of the first updates.

Usage: bench_pretraining.py TEXT --tokenizer FOLDER [--layers 4] [--hidden 256] [--tokens 128] [--batch 32] [--steps 12]
"""

import argparse
import statistics
import tempfile
import time

WARM_UP = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    import kluere

    context = kluere.Context(threads=options.threads)
    model = kluere.Model.create(
        kluere.Tokenizer(options.tokenizer, context=context), family="bert", task="masked_lm", layer_count=options.layers,
        hidden_size=options.hidden, head_count=options.hidden // 64, intermediate_size=4 * options.hidden, context=context,
    )
    begun = time.perf_counter()
    corpus = kluere.Corpus.read(options.text, model.tokenizer, max_tokens=options.tokens, rows="pack")
    read = time.perf_counter() - begun
    print(f"{corpus!r} in {read:.2f} s; a vocabulary of {len(model.tokenizer):,}; {context.instruction_set}")
    folder = tempfile.TemporaryDirectory()
    model.save(folder.name)
    trainer = kluere.MaskedLMTrainer(model, corpus, batch_sentences=options.batch, max_steps=options.steps + WARM_UP)
    ours = []
    for number in range(options.steps + WARM_UP):
        info = trainer.step()
        ours.append((info.tokens / info.seconds, info.loss))
    report("kluere", ours)
    trainer.close()
    report("torch", measure_torch(options, folder.name, corpus))


def measure_torch(options, folder, corpus):
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
    found = []
    for number in range(options.steps + WARM_UP):
        rows = [corpus.mask((number * options.batch + i) % (len(corpus) - 1)) for i in range(options.batch)]
        ids, labels = (torch.tensor([row[part] for row in rows]) for part in (0, 1))
        begun = time.perf_counter()
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        found.append((ids.numel() / (time.perf_counter() - begun), loss.item()))
    return found


def report(name, found):
    speeds = [speed for speed, _ in found[WARM_UP:]]
    losses = " ".join(f"{loss:.3f}" for _, loss in found[:4])
    print(
        f"{name}: {statistics.median(speeds):,.0f} tokens/s (median of {len(speeds)}; {min(speeds):,.0f} to "
        f"{max(speeds):,.0f}); losses {losses}"
    )


if __name__ == "__main__":
    main()
