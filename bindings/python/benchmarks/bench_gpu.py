"""Everything that a machine with an NVIDIA GPU has to show, as one table: correctness, PyTorch's speed, ours.

Needs libkluere.so, this package, torch and transformers; no Swift, no network. Random weights, invented words, token counts
of a list (one a line: --lengths; without it, lengths shaped like KLUE-RE's).

Usage: bench_gpu.py [--parts facts,tests,parity,peers,speed,inference,pairs] [--shape large] [--lengths FILE] [--quick]
                    [--output FILE.md]
Each part runs in a process of its own; a part that fails is a line of the table, not the end of it.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = ["facts", "tests", "parity", "peers", "speed", "inference", "pairs"]


def row(name, value, note=""):
    print(json.dumps([name, value, note]), flush=True)


def flops_per_token(shape, lengths):
    """Forward and backward, per real token: matrix products of the layers, and attention."""
    from gpu_data import SHAPES

    layers, hidden, _, intermediate = SHAPES[shape]
    squares = sum(n * n for n in lengths) / sum(lengths)
    return 3 * layers * (2 * (4 * hidden * hidden + 2 * hidden * intermediate) + 4 * hidden * squares)


# ---- parts


def facts(options):
    import kluere
    import torch

    begun = time.perf_counter()
    context = kluere.Context(device="cuda", log_level=3)
    row("open the device", f"{time.perf_counter() - begun:.2f} s")
    begun = time.perf_counter()
    context.selftest()
    row("self-test, all kernels compiled or read from the cache", f"{time.perf_counter() - begun:.2f} s")
    row("device", f"{context.device_name}, {context.instruction_set}", f"Python {platform.python_version()}")
    row("torch", torch.__version__, f"CUDA {torch.version.cuda}")
    import gpu_peers

    gpu_peers.copy_rate(row)
    gpu_peers.matrix_rate(row)


def tests(options):
    """The tests of the CUDA backend on the real device, and compute-sanitizer on a small training."""
    folder = HERE.parent / "tests"
    environment = dict(os.environ, KLUERE_TEST_DEVICE="cuda", PYTHONPATH=str(HERE.parent))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "test_cuda.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    print(done.stdout[-6000:], file=sys.stderr)
    row("tests/test_cuda.py", done.stdout.strip().splitlines()[-1] if done.stdout.strip() else f"exit {done.returncode}")
    for tool in ("memcheck", "racecheck"):
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, str(HERE / "gpu_small.py")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
            lines = [line for line in done.stdout.splitlines() if "SUMMARY" in line]
            row(f"compute-sanitizer {tool}", lines[-1].strip("= ") if lines else f"exit {done.returncode}")
        except (OSError, subprocess.TimeoutExpired) as problem:
            row(f"compute-sanitizer {tool}", f"not run: {str(problem)[:80]}")


def parity(options):
    """Logits, loss and gradients of every precision against float64, beside what PyTorch's own precisions give."""
    import gpu_parity

    gpu_parity.run(row, options)


def peers(options):
    import gpu_peers

    gpu_peers.run(row, options)


def trained(trainer, updates, warm_up):
    """(tokens a second, updates a second, seconds of each update's host and device)."""
    for _ in range(warm_up):
        trainer.step()
    tokens, begun = 0, time.perf_counter()
    for _ in range(updates):
        tokens += trainer.step().tokens
    seconds = time.perf_counter() - begun
    return tokens / seconds, updates / seconds


def speed(options):
    import gpu_data
    import kluere

    context = kluere.Context(device="cuda")
    lengths = gpu_data.read_lengths(options.lengths, 4000 if options.quick else 0)
    with tempfile.TemporaryDirectory() as folder:
        model = gpu_data.create_model(Path(folder) / "tokenizer", options.shape, context)
        rows = gpu_data.create_dataset(lengths, model.labels, context)
        work = flops_per_token(options.shape, lengths)
        row("rows", f"{len(rows)} sentences, {sum(lengths):,} tokens", f"{work / 1e9:.3f} GFLOP a token")
        plans = [("batch 32", dict(batch_sentences=32), 60)]
        plans += [(f"{tokens} tokens", dict(batch_tokens=tokens), 30) for tokens in (2240, 4480, 8192, 16384)]
        for precision in ("bfloat16", "float16", "tf32", "float32"):
            for name, batch, updates in plans if precision == "bfloat16" else plans[:1] + plans[3:4]:
                if options.quick:
                    updates = 10
                try:
                    trainer = kluere.Trainer(model, rows, precision=precision, max_steps=100000, **batch)
                    rate, often = trained(trainer, updates, 8)
                    note = f"{1e3 / often:.2f} ms an update, {rate * work / 1e12:.0f} TFLOP/s"
                    row(f"training, {precision}, {name}", f"{rate / 1e3:.1f} k tokens/s", note)
                    trainer.close()
                except kluere.KluereError as problem:
                    row(f"training, {precision}, {name}", f"failed: {problem}")
        trainer = kluere.Trainer(model, rows, precision="bfloat16", epochs=1, batch_tokens=8192)
        begun = time.perf_counter()
        trainer.run()
        row("one epoch, bfloat16, 8192 tokens", f"{time.perf_counter() - begun:.2f} s", "evaluation not included")


def inference(options):
    import gpu_data
    import kluere

    context = kluere.Context(device="cuda")
    lengths = gpu_data.read_lengths(options.lengths, 8000)
    with tempfile.TemporaryDirectory() as folder:
        model = gpu_data.create_model(Path(folder) / "tokenizer", options.shape, context)
        rows = gpu_data.create_dataset(lengths, model.labels, context)
        one = gpu_data.create_dataset([64], model.labels, context)
        for precision in ("bfloat16", "float16", "float32"):
            for tokens in (4096, 16384):
                predictor = kluere.Predictor(model, precision=precision, batch_tokens=tokens)
                predictor.predict(rows[:500])
                begun = time.perf_counter()
                predictor.predict(rows)
                seconds = time.perf_counter() - begun
                row(f"prediction, {precision}, {tokens} tokens", f"{sum(lengths) / seconds / 1e3:.0f} k tokens/s",
                    f"{len(lengths) / seconds:.0f} sentences/s, tokenizing included")
            predictor = kluere.Predictor(model, precision=precision)
            for _ in range(10):
                predictor.predict(one)
            times = []
            for _ in range(300):
                begun = time.perf_counter()
                predictor.predict(one)
                times.append(time.perf_counter() - begun)
            times.sort()
            row(f"one sentence of 64 tokens, {precision}", f"{1e3 * statistics.median(times):.3f} ms",
                f"99th percentile {1e3 * times[int(0.99 * len(times))]:.3f} ms")


def pairs(options):
    """All pairs of a sentence with four entities in one call, against one prediction a pair: markers in the text, and beside
    it, where the pairs share the text."""
    import bench_pairs
    import gpu_data
    import kluere

    context = kluere.Context(device=options.device)
    sentences = [gpu_data.sentence_with_entities(tokens, 4, seed) for seed, tokens in enumerate((48, 64, 64, 80))]
    with tempfile.TemporaryDirectory() as folder:
        precisions = ("bfloat16", "float32") if options.device == "cuda" else ("float32",)
        forms = {"in the text": "typed_marker_punct", "beside it": "typed_levitated_marker"}
        for (where, form), precision in itertools.product(forms.items(), precisions):
            model = gpu_data.create_model(
                Path(folder) / "tokenizer", options.shape, context, input_form=form, head="entity_start"
            )
            masked = model.with_type_mask(gpu_data.create_dataset([64] * 8, model.labels, context))
            predictor = kluere.Predictor(masked, precision=precision)
            times, difference, pruned = bench_pairs.measure(kluere, predictor, sentences, 20)
            single = times["one by one"]
            for way in ("one call", "one call, pruned"):
                row(f"12 pairs of a sentence, markers {where}, {way}, {precision}",
                    f"{times[way]:.2f} ms against {single:.2f} ms one by one",
                    f"{times[way] / single:.2f} of the time; {pruned:.0%} pruned; probabilities differ by {difference:.1g}")


# ---- the table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--shape", default="large")
    parser.add_argument("--lengths")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="cuda", help="of the part pairs, to try it without a GPU")
    parser.add_argument("--output")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        sys.path.insert(0, str(HERE))
        return globals()[options.part](options)
    lines = [f"# {options.shape}, {time.strftime('%Y-%m-%d')}", "", "| what | found | |", "|---|---|---|"]
    for part in options.parts.split(","):
        command = [sys.executable, str(HERE / "bench_gpu.py"), "--part", part, "--shape", options.shape]
        command += ["--lengths", options.lengths] if options.lengths else []
        command += ["--device", options.device] + (["--quick"] if options.quick else [])
        done = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in done.stdout:
            try:
                name, value, note = json.loads(line)
            except ValueError:
                continue
            lines.append(f"| {name} | {value} | {note} |")
            print(lines[-1], flush=True)
        if done.wait() != 0:
            lines.append(f"| {part} | failed, exit {done.returncode} | |")
            print(lines[-1], flush=True)
        if options.output:  # after each part: a run that is cut off leaves what it had
            Path(options.output).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
