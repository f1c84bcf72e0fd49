"""Our precisions and PyTorch's, both against float64, on one model folder."""

import tempfile
from pathlib import Path

import gpu_data
import kluere
import numpy
import torch
import transformers


def distance(found, exact):
    found, exact = numpy.concatenate([numpy.ravel(x) for x in found]), numpy.concatenate([numpy.ravel(x) for x in exact])
    return float(numpy.linalg.norm(found.astype(numpy.float64) - exact) / numpy.linalg.norm(exact))


def torch_pass(folder, inputs, labels, dtype=torch.float64, autocast=None, tf32=False):
    """(loss, logits, gradients by name), without dropout."""
    torch.backends.cuda.matmul.allow_tf32 = tf32
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0
    ).to("cuda", dtype)
    scale = 65536.0 if autocast == torch.float16 else 1.0
    logits, total = [], 0.0
    for ids, label in zip(inputs, labels):
        with torch.autocast("cuda", autocast or torch.bfloat16, enabled=autocast is not None):
            out = model(input_ids=torch.tensor([ids], device="cuda")).logits
        loss = torch.nn.functional.cross_entropy(out.to(torch.float32 if autocast else dtype),
                                                 torch.tensor([label], device="cuda")) / len(inputs)
        (loss * scale).backward()
        total += loss.item()
        logits.append(out.detach().double().cpu().numpy()[0])
    gradients = {name: p.grad.double().cpu().numpy() / scale for name, p in model.named_parameters() if p.grad is not None}
    del model
    torch.cuda.empty_cache()
    return total, logits, gradients


def run(row, options):
    context = kluere.Context(device="cuda")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model = gpu_data.create_model(
            folder / "tokenizer", options.shape, context, hidden_dropout=0.0, attention_dropout=0.0, classifier_dropout=0.0
        )
        model.save(folder / "model")
        rows = gpu_data.create_dataset([64, 17, 130, 33, 65, 200, 16, 90], model.labels, context)
        inputs = [model.encode(example).ids for example in rows]
        labels = [int(label) for label in model.label_indices(rows)]
        loss, logits, gradients = torch_pass(folder / "model", inputs, labels)
        names = sorted(gradients)
        exact = [gradients[name] for name in names]
        theirs = {}
        for name, how in {
            "float32": dict(dtype=torch.float32), "tf32": dict(dtype=torch.float32, tf32=True),
            "bfloat16": dict(dtype=torch.float32, autocast=torch.bfloat16),
            "float16": dict(dtype=torch.float32, autocast=torch.float16),
        }.items():
            _, found, grads = torch_pass(folder / "model", inputs, labels, **how)
            theirs[name] = distance(found, logits), distance([grads[n] for n in names], exact)
        for precision in ("float32", "tf32", "bfloat16", "float16"):
            found = model.predict(rows, output="logits", precision=precision)
            trainer = kluere.Trainer(model, rows, batch_sentences=8, max_steps=2, learning_rate=0.0, precision=precision)
            ours = trainer.step()
            gradient = distance([trainer.gradients[name] for name in names], exact)
            a, b = theirs[precision]
            row(f"parity, {precision}", f"logits {distance(found, logits):.2e}, gradients {gradient:.2e}",
                f"PyTorch: {a:.2e}, {b:.2e}; loss {ours.loss:.6f}, exact {loss:.6f}")
            trainer.close()
        fifty_updates(row, folder / "model", model, rows, inputs, labels)


def fifty_updates(row, folder, model, rows, inputs, labels):
    """AdamW without dropout in fp32, both engines, whole data in each update; and the same run of ours twice."""
    from engines import adamw

    torch.backends.cuda.matmul.allow_tf32 = False
    peer = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0
    ).cuda()
    optimizer = adamw(peer, 1e-5)
    options = dict(batch_sentences=8, max_steps=50, learning_rate=1e-5, schedule="constant", warmup_ratio=0.0)
    ours, again = kluere.Trainer(model, rows, **options), kluere.Trainer(model, rows, **options)
    worst, equal = 0.0, True
    for _ in range(50):
        total = 0.0
        for ids, label in zip(inputs, labels):
            out = peer(input_ids=torch.tensor([ids], device="cuda")).logits
            loss = torch.nn.functional.cross_entropy(out, torch.tensor([label], device="cuda")) / len(inputs)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        a, b = ours.step(), again.step()
        worst, equal = max(worst, abs(a.loss - total) / abs(total)), equal and a.loss == b.loss
    a, b = ours.export_model().tensors, again.export_model().tensors
    equal = equal and all(numpy.array_equal(a[name], b[name]) for name in a)
    row("50 AdamW updates, float32", f"largest relative difference of the loss {worst:.2e}", f"two runs bit-equal: {equal}")
