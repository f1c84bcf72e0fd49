#!/usr/bin/env python3
"""No code of the library may end its host: refuses what traps, exits or prints in Sources.

A line that must keep such a word says why behind `// trap-ok: `. Force unwraps and implicitly unwrapped optionals are
found by swift format's own rules.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "Sources"
# Sources/CKluereSupport/scalar_names.c leaves the names of characters out of the library.
NAMES = re.compile(r"\.properties\s*\.name\b")
EXCUSE = re.compile(r"//\s*trap-ok:\s*\S")
SWIFT = re.compile(
    r"\b(fatalError|preconditionFailure|precondition)\s*\(|\btry!|\bas!|\bunowned\b|(?<![.\w])(abort|exit|print)\("
)
C = re.compile(
    r"(?<![.\w])(abort|exit|_exit|quick_exit|assert|printf|fprintf|puts|putchar|perror|signal|sigaction)\s*\("
)
RULES = ["NeverForceUnwrap", "NeverUseForceTry", "NeverUseImplicitlyUnwrappedOptionals"]


def without_comments(line):
    return re.sub(r"//.*|/\*.*?\*/", "", line)


def findings(path):
    pattern = SWIFT if path.suffix == ".swift" else C
    text = path.read_text(encoding="utf-8")
    own = set(re.findall(r"\bfunc (\w+)\(", text)) if path.suffix == ".swift" else set()  # a method named abort is ours
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.search(without_comments(line))
        if path.suffix == ".swift" and NAMES.search(without_comments(line)):
            yield f"{path.relative_to(ROOT)}:{number}: the library has no names of characters: {line.strip()}"
        if match and not EXCUSE.search(line) and not line.lstrip().startswith("*") and match.group(0)[:-1] not in own:
            yield f"{path.relative_to(ROOT)}:{number}: {match.group(0)} ends or disturbs the host: {line.strip()}"


def unwraps():
    """Lines that swift format flags; an excuse on the line is honoured."""
    if not shutil.which("swift"):
        sys.exit("swift is not on the PATH")
    configuration = json.dumps({"version": 1, "lineLength": 10_000, "rules": {rule: True for rule in RULES}})
    run = subprocess.run(["swift", "format", "lint", "--configuration", configuration, "-r", str(SOURCES)],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    for line in run.stderr.splitlines():
        place = re.match(r"(.*?):(\d+):\d+: \w+: \[(\w+)\] (.*)", line)
        if not place or place.group(3) not in RULES:
            continue
        path = pathlib.Path(place.group(1))
        if not EXCUSE.search(path.read_text(encoding="utf-8").splitlines()[int(place.group(2)) - 1]):
            yield f"{path.resolve().relative_to(ROOT)}:{place.group(2)}: {place.group(4)}"


def main():
    files = sorted(p for p in SOURCES.rglob("*") if p.suffix in (".swift", ".c", ".h"))
    problems = [finding for path in files for finding in findings(path)] + list(unwraps())
    if problems:
        sys.exit("\n".join(problems))
    print(f"trap gate: {len(files)} files, nothing that ends the host")


if __name__ == "__main__":
    main()
