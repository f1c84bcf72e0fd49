"""Instructions of kluere's hot loops on one thread, counted by callgrind: figures that a busy machine does not change.

Each loop runs twice, with different numbers of repetitions, and the difference counts: what comes before and behind drops out.
Instructions are not time: they say nothing of caches and of how many run at once. Compare a loop with itself.

Usage: bench_counts.py [--data FOLDER] [--sentences 300] [--loops NAME ...] [--output TABLE.md] [--json FILE]
Needs clang (CC), valgrind and libkluere.so; without valgrind it says so and writes nothing.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench_products import compile_objects, compiler
from bench_speed import data_folder, number
from bench_tokenizer import sentences
from engines import HERE, processor

REPETITIONS = (1, 3)  # the first also reserves what the loop keeps
# Valgrind computes each fused multiply-add by a function, some ten million a second: products run as seldom as can be. What the
# first of them reserves is some hundred instructions of millions.
PRODUCT_REPETITIONS = (0, 1)
LAYERS = [(256, 1024), (768, 768)]
ROWS = [64, 512]


class Loop(NamedTuple):
    title: str
    shape: str
    unit: str
    name: str  # in counts.c
    arguments: tuple
    main: bool = False  # in the summary of all parts
    repetitions: tuple = REPETITIONS


def product_loops():
    kinds = {
        "product, weights packed": "forward_packed",
        "product": "forward",
        "product, gradient of x": "gradient_x",
        "product, gradient of w": "gradient_w",
        "product, int8 weights": "forward_s8",
        "product, int8_reduced weights": "forward_s8_reduced",
        "product, bfloat16 weights": "forward_bf16",
        "product, float16 weights": "forward_f16",
    }
    main = {"forward_packed", "forward", "gradient_x", "gradient_w", "forward_s8", "forward_s8_reduced"}
    for title, name in kinds.items():
        for width, out in LAYERS:
            for rows in ROWS:
                shown = name in main and (width, rows) == (768, 512)
                shape = f"{rows} rows, {width} to {out}"
                yield Loop(title, shape, "1000 multiply-adds", name, (rows, width, out), shown, PRODUCT_REPETITIONS)


def encoder_loops():
    """What stands between the products. The flags at the end of arguments: dropout; of attention also what training keeps."""
    shape, sizes = "8 sentences of 64 tokens, 4 heads of 64", (8, 64, 4, 64)
    yield Loop("attention", shape, "token", "attention", (*sizes, 0, 0))
    yield Loop("attention, dropout", shape, "token", "attention", (*sizes, 1, 1), True)
    yield Loop("attention backward", shape, "token", "attention_backward", (*sizes, 0))
    yield Loop("attention backward, dropout", shape, "token", "attention_backward", (*sizes, 1), True)
    yield Loop("GELU", "512 x 3072", "element", "gelu", (512, 3072), True)
    yield Loop("GELU backward", "512 x 3072", "element", "gelu_backward", (512, 3072), True)
    for title, name, unit, main in (
        ("residual + layer norm", "residual_norm", "element", True),
        ("embedding", "embedding", "token", False),
    ):
        for end, drops in (("", 0), (", dropout", 1)):
            shown = main and bool(drops)
            yield Loop(title + end, "512 x 768", unit, name, (512, 768, drops), shown)
            yield Loop(f"{title} backward{end}", "512 x 768", unit, f"{name}_backward", (512, 768, drops), shown)
    yield Loop("AdamW", "1,048,576 parameters", "parameter", "adamw", (1 << 20,), True)
    yield Loop("cross entropy and its gradient", "512 x 30", "row", "cross_entropy", (512, 30))


def tokenizer_loops(data, count, file):
    for title, folder in (("WordPiece", "klue-roberta"), ("unigram", "sentencepiece-ke-t5")):
        path = data / "tokenizers" / folder
        yield Loop(f"{title} with offsets", f"{folder}, {count} sentences", "token", "tokenizer", (path, file), True)


def build(folder):
    """The program: kluere's arithmetic, and the library that Python uses, by the name that the linker notes."""
    import kluere

    library = Path(kluere.library_path()).resolve()
    (folder / "libkluere.so.1").symlink_to(library)
    objects = compile_objects(folder, "counts.c", f"-I{HERE.parents[2] / 'include'}")
    program = folder / "counts"
    line = [compiler(), "-o", str(program), *objects, str(library), "-lm", "-lpthread", "-Wl,-z,now"]
    # Names are found before the loop begins (now), the library in the folder.
    subprocess.run([*line, f"-Wl,-rpath,{folder}"], check=True)
    return program


def callgrind(program, loop, repetitions):
    """Instructions of the whole run, and what the program says of it."""
    line = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, loop.name, repetitions, *loop.arguments]
    # Swift's hash tables are laid out anew in every process unless told not to: the same work, other instructions.
    environment = {**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"}
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True, env=environment)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not collected:
        sys.exit(f"{loop.title}: exit {done.returncode}\n{done.stderr[-4000:]}")
    return int(collected[1]), json.loads(done.stdout)


def measure(program, loop):
    """(instructions of one unit, instruction set)"""
    (few, _), (many, said) = (callgrind(program, loop, repetitions) for repetitions in loop.repetitions)
    more = loop.repetitions[1] - loop.repetitions[0]
    return (many - few) / (more * said["units"]), said["instruction_set"]


def report(rows, instruction_set, version):
    lines = [
        "# Instructions of the hot loops",
        "",
        f"{processor()}, one thread, instruction set {instruction_set} (of those that valgrind knows), {version}: callgrind's"
        " count of a run less that of one with fewer repetitions.",
        "",
        "| loop | shape | unit | instructions |",
        "|---|---|---|---:|",
    ]
    lines += [f"| {row['loop']} | {row['shape']} | {row['unit']} | {number(row['instructions'])} |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("KLUERE_DATA"), help="folder with klue-re/ and tokenizers/")
    parser.add_argument("--sentences", type=int, default=300, help="for the tokenizers")
    parser.add_argument("--loops", nargs="+", help="only these, by their names in counts.c")
    parser.add_argument("--output", help="write the table to this file too")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        print("No instruction counts: valgrind is not installed.", file=sys.stderr)
        return
    data = data_folder(parser, options.data)
    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder)
        texts = sentences(data, options.sentences)
        file = folder / "sentences.txt"
        file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        for loop in [*product_loops(), *encoder_loops(), *tokenizer_loops(data, len(texts), file)]:
            if options.loops and loop.name not in options.loops:
                continue
            count, instruction_set = measure(program, loop)
            rows.append(dict(loop=loop.title, shape=loop.shape, unit=loop.unit, instructions=count, main=loop.main))
            print(f"{loop.title}, {loop.shape}: {number(count)}", file=sys.stderr, flush=True)
    if not rows:
        parser.error("no such loop")
    table = report(rows, instruction_set, version)
    print(table)
    if options.output:
        Path(options.output).write_text(table, encoding="utf-8")
    if options.json:
        about = {"processor": processor(), "threads": 1, "versions": version, "instruction_set": instruction_set}
        Path(options.json).write_text(json.dumps({**about, "loops": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
