#!/usr/bin/env python3
"""Writes kluere/_abi.py, the ctypes declarations, from include/kluere.h.

The parser knows exactly the C that kluere.h is written in: numeric #defines, anonymous enums with explicit values,
opaque and plain struct typedefs, function-pointer typedefs, KLUERE_API declarations. Anything else stops it, so that a
new construct in the header is noticed rather than skipped.

Usage: generate_abi.py [--check]      --check: exit 1 if the checked-in file is not what the header gives
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent.parent / "include" / "kluere.h"
OUTPUT = HERE / "kluere" / "_abi.py"

SCALARS = {
    "int32_t": "c_int32",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
    "size_t": "c_size_t",
    "float": "c_float",
    "double": "c_double",
}
WIDTH = 120


class Header:
    """What the header declares, in its order, already as Python source."""

    def __init__(self, text):
        self.constants = []  # (name, source)
        self.opaque = set()
        self.aliases = {}  # typedef name -> scalar
        self.callbacks = []  # (name, [source of return type, parameter types...])
        self.structs = []  # (name, [(field, source)])
        self.functions = []  # (name, source of return type, [source of parameter types])
        self.parse(text)

    def parse(self, text):
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        text = self.preprocess(text)
        text = re.sub(r'extern "C" \{(.*)\}\s*$', r"\1", text.strip(), flags=re.S)
        rest = re.sub(r"\s+", " ", text).strip()
        while rest:
            rest = self.declaration(rest).strip()

    def preprocess(self, text):
        """Drops the directives, keeping numeric #defines. What stands under #ifdef __cplusplus is not for C."""
        lines = []
        skipping = False
        for line in text.splitlines():
            if line.startswith("#ifdef __cplusplus"):
                skipping = True
            elif line.startswith("#endif"):
                skipping = False
            elif line.startswith("#define") and not skipping:
                self.define(line)
            elif not line.startswith("#") and not skipping:
                lines.append(line)
        return "\n".join(lines)

    def define(self, line):
        match = re.fullmatch(r"#define (\w+)(?: (.*\S))?\s*", line)
        if not match:
            sys.exit(f"{HEADER.name}: not understood: {line}")
        name, value = match.groups()
        if name in ("KLUERE_H", "KLUERE_API"):
            return
        if value == "((size_t)-1)":
            self.constants.append((name, "c_size_t(-1).value"))
        elif value and re.fullmatch(r"-?\d+u?", value):
            self.constants.append((name, value.rstrip("u")))
        else:
            sys.exit(f"{HEADER.name}: {name}: not a number: {value}")

    def declaration(self, text):
        """Takes one declaration off the front and returns the rest."""
        for pattern, take in (
            (r"enum \{ (.*?),? \};", self.take_enum),
            (r"typedef struct (\w+) \{ (.*?) \} (\w+);", self.take_struct),
            (r"typedef struct (\w+) (\w+);", self.take_opaque),
            (r"typedef (\w+) \(\*(\w+)\)\((.*?)\);", self.take_callback),
            (r"typedef (\w+) (\w+);", self.take_alias),
            (r"KLUERE_API ([^()]*?)(\w+)\(([^()]*)\);", self.take_function),
        ):
            match = re.match(pattern, text)
            if match:
                take(*match.groups())
                return text[match.end() :]
        sys.exit(f"{HEADER.name}: not understood: {text[:120]}")

    def take_enum(self, body):
        for entry in body.split(","):
            match = re.fullmatch(r"\s*(\w+) = (-?\d+)u?\s*", entry)
            if not match:
                sys.exit(f"{HEADER.name}: enum entry not understood: {entry}")
            self.constants.append(match.groups())

    def take_opaque(self, name, again):
        self.opaque.add(name)

    def take_alias(self, scalar, name):
        self.aliases[name] = SCALARS[scalar]

    def take_struct(self, name, body, again):
        fields = []
        for field in body.split(";"):
            if not field.strip():
                continue
            match = re.fullmatch(r"(.*?)(\w+)(?:\[(\d+)\])?", field.strip())
            kind, field_name, length = match.groups()
            source = self.type(kind, f"{name}.{field_name}", in_struct=True)
            fields.append((field_name, f"{source} * {length}" if length else source))
        self.structs.append((name, fields))

    def take_callback(self, result, name, parameters):
        kinds = [self.type(result, name)] + self.parameters(parameters, name)
        self.callbacks.append((name, kinds))

    def take_function(self, result, name, parameters):
        self.functions.append((name, self.type(result, name), self.parameters(parameters, name)))

    def parameters(self, text, where):
        if text.strip() == "void":
            return []
        return [self.type(re.fullmatch(r"(.*?)(\w+)", p.strip()).group(1), where) for p in text.split(",")]

    def type(self, text, where, in_struct=False):
        """The ctypes name of a C type. Handles are c_void_p; text is c_char_p when const, a buffer otherwise."""
        kind = re.sub(r"\bconst\b", "", text).replace(" ", "")
        base, stars = kind.rstrip("*"), len(kind) - len(kind.rstrip("*"))
        if base == "void":
            return {0: "None", 1: "c_void_p"}[stars]
        if base in self.opaque:
            return {1: "c_void_p", 2: "POINTER(c_void_p)"}[stars]
        if base == "char":
            return {1: "c_char_p", 2: "POINTER(c_char_p)"}[stars]
        callbacks = {name for name, _ in self.callbacks}
        structs = {name for name, _ in self.structs}
        name = SCALARS.get(base) or self.aliases.get(base) or (base if base in callbacks | structs else None)
        if name is None:
            sys.exit(f"{HEADER.name}: {where}: type not understood: {text}")
        for _ in range(stars):
            name = f"POINTER({name})"
        return name


def wrapped(head, items, tail):
    """head + items, comma-separated + tail, on one line if it fits, else one item a line."""
    line = head + ", ".join(items) + tail
    if len(line) <= WIDTH:
        return line
    indent = " " * (len(head) - len(head.lstrip()) + 4)
    closing = " " * (len(head) - len(head.lstrip()))
    return head + "\n" + "".join(f"{indent}{item},\n" for item in items) + closing + tail


def generate(header):
    lines = [
        '"""ctypes declarations of kluere.h. Generated by generate_abi.py from the header: do not edit."""',
        "",
        "from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint32",
        "from ctypes import c_uint64, c_void_p",
        "",
        "# Constants",
    ]
    lines += [f"{name} = {value}" for name, value in header.constants]
    # Callbacks and structs refer to each other: declared in the header's order.
    order = sorted(
        [(header_position(name), "callback", name, kinds) for name, kinds in header.callbacks]
        + [(header_position(name), "struct", name, fields) for name, fields in header.structs]
    )
    for _, what, name, content in order:
        lines.append("")
        lines.append("")
        if what == "callback":
            lines.append(wrapped(f"{name} = CFUNCTYPE(", content, ")"))
        else:
            lines.append(f"class {name}(Structure):")
            lines.append("    _fields_ = [")
            lines += [f'        ("{field}", {source}),' for field, source in content]
            lines.append("    ]")
    lines += ["", "", "# Every exported function: result type, parameter types.", "FUNCTIONS = {"]
    for name, result, parameters in header.functions:
        tail = ",)" if len(parameters) == 1 else ")"
        lines.append(wrapped(f'    "{name}": ({result}, (', parameters, f"{tail}),"))
    lines += ["}", ""]
    return "\n".join(lines)


def header_position(name):
    return HEADER_TEXT.index(re.search(rf"\(\*{name}\)|struct {name} {{", HEADER_TEXT).group(0))


HEADER_TEXT = HEADER.read_text(encoding="utf-8")


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    source = generate(Header(HEADER_TEXT))
    if sys.argv[1:]:
        if not OUTPUT.exists() or OUTPUT.read_text(encoding="utf-8") != source:
            sys.exit(f"{OUTPUT.name} is not what {HEADER.name} gives: run {Path(__file__).name}")
        print(f"{OUTPUT.name} matches {HEADER.name}")
    else:
        OUTPUT.write_text(source, encoding="utf-8")


if __name__ == "__main__":
    main()
