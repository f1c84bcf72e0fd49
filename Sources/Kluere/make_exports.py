#!/usr/bin/env python3
"""Writes exports.map, the linker's list of exported names, from symbols.txt.

symbols.txt has one line per function: name, tab, first version. lld refuses to link when a name listed here has no
implementation, so header, list and code agree when this passes and the release product links.

    make_exports.py           write exports.map
    make_exports.py --check   write nothing; exit 1 unless include/kluere.h, symbols.txt and exports.map agree
"""
import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
HEADER = FOLDER.parent.parent / "include" / "kluere.h"
SYMBOLS = FOLDER / "symbols.txt"
EXPORTS = FOLDER / "exports.map"


def header_names():
    """The functions that the header declares with KLUERE_API."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    return re.findall(r"\bKLUERE_API\b[^;(]*?\b(kluere_\w+)\s*\(", text)


def symbols():
    """name -> first version, in the file's order; raises ValueError for a line that is not one."""
    found = {}
    for number, line in enumerate(SYMBOLS.read_text(encoding="utf-8").splitlines(), 1):
        if not re.fullmatch(r"kluere_\w+\t\d+\.\d+\.\d+", line):
            raise ValueError(f"symbols.txt: line {number}: {line!r}, expected name, tab, version")
        name, version = line.split("\t")
        if name in found:
            raise ValueError(f"symbols.txt: line {number}: {name} is there twice")
        found[name] = version
    return found


def exports_text(names):
    lines = "".join(f"    {name};\n" for name in sorted(names))
    return f"/* Written by make_exports.py from symbols.txt. */\nKLUERE_1 {{\n  global:\n{lines}  local:\n    *;\n}};\n"


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    try:
        listed = symbols()
    except ValueError as error:
        sys.exit(str(error))
    wanted = exports_text(listed)
    if not arguments:
        EXPORTS.write_text(wanted, encoding="utf-8")
        return
    declared = header_names()
    problems = [f"{name}: in kluere.h, not in symbols.txt" for name in declared if name not in listed]
    problems += [f"{name}: in symbols.txt, not in kluere.h" for name in listed if name not in declared]
    problems += [f"{name}: twice in kluere.h" for name in sorted(set(declared)) if declared.count(name) > 1]
    if not EXPORTS.exists() or EXPORTS.read_text(encoding="utf-8") != wanted:
        problems.append("exports.map is not what make_exports.py writes: run it")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(listed)} functions: kluere.h, symbols.txt and exports.map agree")


if __name__ == "__main__":
    main(sys.argv[1:])
