#!/usr/bin/env python3
"""What the built library shows to the world: its exports, what it needs at run time, its names and its size.

    library_gate.py FILE
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOWED = re.compile(r"lib(c|m|stdc\+\+|gcc_s)\.so\.\d+$|ld-linux[\w.-]*\.so\.\d+$")
SONAME = "libkluere.so.1"
LIMIT = 10_000_000  # bytes, stripped


def output(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def exported(library):
    names = set()
    for line in output("nm", "-D", "--defined-only", library).splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":  # the version node itself
            names.add(name.split("@")[0])
    return names


def dynamic(library):
    return re.findall(r"\((\w+)\)\s+(.*)", output("readelf", "-dW", library))


def values(entries, tag):
    return [re.search(r"\[(.*)\]", value).group(1) for name, value in entries if name == tag]


def main(library):
    problems = []
    listed = {line.split("\t")[0] for line in (ROOT / "Sources/Kluere/symbols.txt").read_text().splitlines() if line}
    found = exported(library)
    problems += [f"exported, but not in symbols.txt: {name}" for name in sorted(found - listed)]
    problems += [f"in symbols.txt, but not exported: {name}" for name in sorted(listed - found)]
    entries = dynamic(library)
    needed = values(entries, "NEEDED")
    problems += [f"needs {name}" for name in needed if not ALLOWED.match(name)]
    if values(entries, "SONAME") != [SONAME]:
        problems.append(f"SONAME {values(entries, 'SONAME')}, expected {SONAME}")
    for path in values(entries, "RUNPATH") + values(entries, "RPATH"):
        if path != "$ORIGIN":
            problems.append(f"looks for libraries in {path}")
    if not any("NODELETE" in value for name, value in entries if name == "FLAGS_1"):
        problems.append("not marked NODELETE: its threads would run unmapped code after dlclose")
    if "not found" in output("ldd", library):
        problems.append("ldd does not find all it needs")
    size = pathlib.Path(library).stat().st_size
    if size > LIMIT:
        problems.append(f"{size:,} bytes, {LIMIT:,} is the limit")
    if problems:
        sys.exit("\n".join(f"{library}: {problem}" for problem in problems))
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", output("readelf", "-VW", library))
    major, minor = max(((int(a), int(b)) for a, b in versions), default=(0, 0))
    print(f"library gate: {len(found)} exports = symbols.txt; needs {', '.join(sorted(needed))}; "
          f"glibc {major}.{minor} or newer; {size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
