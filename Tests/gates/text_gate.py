#!/usr/bin/env python3
"""Plain text rules for every file of the repository: UTF-8, no tabs, no trailing blanks, no overlong lines in code, a
newline at the end, and no path or host of the machine it was written on."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = {".swift", ".c", ".h", ".py", ".sh"}
TEXT = CODE | {".md", ".txt", ".toml", ".json", ".in", ".map", ".modulemap", ""}
WIDTH = 128  # 120 is the rule for new lines; a word too long is no reason to fail
GENERATED = ("samples/data/", "Tests/tokenizer_")
BYTES = "Tests/fuzz/corpus/"  # what a fuzzer made is no text
# The brackets keep this file from breaking its own rule.
MACHINE = re.compile(r"/wor[k]/|/roo[t]/|/op[t]/|/hom[e]/|/tm[p]/(peer|build-)|pyp[i]\.org|find-[l]inks|index-[u]rl")


def tracked():
    """Files that git knows or would add."""
    run = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, stdin=subprocess.DEVNULL,
                         capture_output=True, check=True)
    return sorted(pathlib.Path(name) for name in run.stdout.decode().split("\0") if name)


def findings(name):
    path = ROOT / name
    if path.is_symlink() or not path.is_file() or name.suffix not in TEXT or str(name).startswith(BYTES):
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        yield f"{name}: not UTF-8"
        return
    if text and not text.endswith("\n"):
        yield f"{name}: no newline at the end"
    if str(name).startswith(GENERATED):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if name.suffix in CODE and len(line) > WIDTH:
            yield f"{name}:{number}: {len(line)} columns, {WIDTH} is the limit"
        if name.suffix in CODE and "\t" in line:
            yield f"{name}:{number}: a tab"
        if name.suffix in CODE and line != line.rstrip():
            yield f"{name}:{number}: blanks at the end"
        if MACHINE.search(line):
            yield f"{name}:{number}: a path or host of one machine: {line.strip()[:80]}"


def main():
    names = tracked()
    problems = [finding for name in names for finding in findings(name)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"text gate: {len(names)} files")


if __name__ == "__main__":
    main()
