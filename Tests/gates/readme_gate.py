#!/usr/bin/env python3
"""The README's examples are the marked parts of the tested samples.

In README.md a block is announced by `<!-- from: samples/c/predict.c -->`; in the sample its part stands between lines
that contain README-BEGIN and README-END.

    readme_gate.py            exit 1 unless every announced block equals its part and has at most 25 lines
    readme_gate.py --write    copy the parts into README.md
"""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
LIMIT = 25
BLOCK = re.compile(r"(<!-- from: (\S+) -->\n```\w+\n)(.*?)(```\n)", re.S)


def part(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    match = re.search(r"[^\n]*README-BEGIN[^\n]*\n(.*?\n)[^\n]*README-END", text, re.S)
    if not match:
        sys.exit(f"{name}: no part between README-BEGIN and README-END")
    return textwrap.dedent(match.group(1)).strip("\n") + "\n"


def main(arguments):
    if arguments not in ([], ["--write"]):
        sys.exit(__doc__)
    text = README.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    if {pathlib.Path(name).suffix for _, name, _, _ in blocks} != {".c", ".py"}:
        sys.exit("README.md: needs an announced block from a C sample and one from a Python sample")
    if arguments:
        README.write_text(BLOCK.sub(lambda m: m.group(1) + part(m.group(2)) + m.group(4), text), encoding="utf-8")
        return
    problems = []
    for _, name, shown, _ in blocks:
        if shown != part(name):
            problems.append(f"README.md: the block from {name} is not its marked part: run readme_gate.py --write")
        if shown.count("\n") > LIMIT:
            problems.append(f"README.md: the block from {name} has {shown.count(chr(10))} lines, {LIMIT} is the limit")
    if problems:
        sys.exit("\n".join(problems))
    print(f"readme gate: {len(blocks)} blocks equal the tested samples")


if __name__ == "__main__":
    main(sys.argv[1:])
