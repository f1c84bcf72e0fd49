#!/usr/bin/env python3
"""Writes Sources/KluereText/CharacterTables.swift, the character properties of BERT's tokenizer.

The tables are measured, not copied from one Unicode version: Hugging Face's `tokenizers` mixes several (categories of
Unicode 8.0, decompositions of about 12, lower case of the Rust compiler that built it), and a table from any one version
would give other tokens than it does. So every code point goes through its BertNormalizer, BertPreTokenizer and NFD.
Python's unicodedata is only compared with, and the differences printed.

Usage: generate_character_tables.py [--check] [output.swift]
--check writes nothing and fails if the file differs. Written with tokenizers 0.23.3; needs that package, nothing else.
"""

import sys
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import normalizers, pre_tokenizers

OUTPUT = Path(__file__).resolve().parent.parent / "Sources" / "KluereText" / "CharacterTables.swift"
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)  # decomposed by arithmetic in the code


def bert(**on):
    flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**flags, **on}).normalize_str


def ranges(code_points):
    """Sorted [first, last] pairs, both inclusive."""
    result = []
    for c in code_points:
        if result and result[-1][1] == c - 1:
            result[-1][1] = c
        else:
            result.append([c, c])
    return result


def measure_combining_classes(nfd, decompositions):
    """Canonical combining class of each code point that has one.

    NFD sorts neighbouring marks by class and shows the class only so: c follows a mark of class k exactly if its own
    class is not below k. One reference mark per class of unicodedata brackets each code point's class.
    """
    references = {}
    for c in SCALARS:
        k = unicodedata.combining(chr(c))
        # A mark that NFD does not move before itself plus the class below or above would be useless as a reference.
        if k and c not in decompositions and k not in references and nfd("\u0345" + chr(c)) != "\u0345" + chr(c):
            references[k] = chr(c)
    references[240] = "\u0345"
    result = {}
    for c in SCALARS:
        if c in decompositions or c in HANGUL:
            continue
        s = chr(c)
        moves_back = nfd("\u0345" + s) != "\u0345" + s  # 0 < class < 240
        moves_forward = nfd(s + references[1]) != s + references[1]  # class > 1
        if not moves_back and not moves_forward:
            continue
        equal = [k for k, r in references.items() if nfd(s + r) == s + r and nfd(r + s) == r + s]
        assert len(equal) == 1, (hex(c), equal)
        result[c] = equal[0]
    return result


def measure():
    clean, ideographs = bert(clean_text=True), bert(handle_chinese_chars=True)
    accents, lower = bert(strip_accents=True), bert(lowercase=True)
    nfd = normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    tables = {k: [] for k in ("dropped", "spaces", "ideographs", "punctuation", "nonspacing")}
    lowercase, decompositions, separators = {}, {}, []
    for c in SCALARS:
        s = chr(c)
        cleaned = clean("a" + s + "b")
        if cleaned == "ab":
            tables["dropped"].append(c)
        elif cleaned == "a b":
            tables["spaces"].append(c)
        else:
            assert cleaned == "a" + s + "b", hex(c)
        spaced = ideographs(s)
        if spaced != s:
            assert spaced == " " + s + " ", hex(c)
            tables["ideographs"].append(c)
        words = [w for w, _ in split("a" + s + "b")]
        if words == ["a", s, "b"]:
            tables["punctuation"].append(c)
        elif words == ["a", "b"]:
            separators.append(c)
        else:
            assert words == ["a" + s + "b"], hex(c)
        if lower(s) != s:
            lowercase[c] = lower(s)
        if nfd(s) != s:
            assert c not in HANGUL or nfd(s) == unicodedata.normalize("NFD", s)
            if c not in HANGUL:
                decompositions[c] = nfd(s)
        elif accents("a" + s + "b") == "ab":
            tables["nonspacing"].append(c)

    # What the code relies on.
    assert set(separators) - set(tables["spaces"]) == {0x0B, 0x0C, 0x85}, "separators that cleaning leaves"
    assert {0x0B, 0x0C, 0x85} <= set(tables["dropped"])
    kinds = [set(tables[k]) for k in ("dropped", "spaces", "ideographs", "punctuation")]
    assert sum(map(len, kinds)) == len(set.union(*kinds)), "a code point of two kinds"
    assert [c for c, r in lowercase.items() if len(r) != 1] == [0x130] and lowercase[0x130] == "i\u0307"
    assert all(2 <= 1 + len(r) <= 5 for r in decompositions.values())
    assert all(c in HANGUL or c in decompositions or nfd(chr(c)) == chr(c) for c in SCALARS)
    tables["combining"] = measure_combining_classes(nfd, decompositions)
    tables["lowercase"], tables["decompositions"] = lowercase, decompositions
    return tables


def lowercase_runs(lowercase):
    """[first, last, step, difference]: code points first, first + step, ..., last add difference."""
    runs = []
    for c, mapped in sorted(lowercase.items()):
        difference = ord(mapped[0]) - c
        if runs and runs[-1][3] == difference:
            first, last, step, _ = runs[-1]
            if c - last == step or (first == last and c - last <= 2):
                runs[-1][1:3] = [c, c - last]
                continue
        runs.append([c, c, 1, difference])
    return runs


def array(name, kind, comment, numbers, group):
    lines = [f"  /// {comment}", f"  static let {name}: [{kind}] = ["]
    line = "   "
    for i in range(0, len(numbers), group):
        text = "".join(f" {n:#x}," if n >= 0 else f" -{-n:#x}," for n in numbers[i : i + group])
        if len(line) + len(text) > 118:
            lines.append(line)
            line = "   "
        line += text
    return lines + [line, "  ]"]


def flat(pairs):
    return [n for pair in pairs for n in pair]


def swift(tables):
    combining = []
    for c, k in sorted(tables["combining"].items()):
        if combining and combining[-1][1] == c - 1 and combining[-1][2] == k:
            combining[-1][1] = c
        else:
            combining.append([c, c, k])
    decompositions = []
    for c, text in sorted(tables["decompositions"].items()):
        decompositions += [c << 3 | len(text)] + [ord(x) for x in text]
    lines = [
        "// Generated by Tests/generate_character_tables.py; do not edit.",
        f"// Measured on Hugging Face tokenizers {tokenizers.__version__} over all Unicode scalars.",
        "",
        "// swift-format-ignore",
        "/// Character properties of BERT's tokenizer. Ranges are first, last (both inclusive), ascending.",
        "enum CharacterTables {",
    ]
    for key, comment in (
        ("dropped", "Cleaning removes these: U+0000, U+FFFD, control, format and private-use characters."),
        ("spaces", "Cleaning turns these into U+0020."),
        ("ideographs", "Set apart by spaces when Chinese characters are."),
        ("punctuation", "Each stands alone as a word."),
        ("nonspacing", "Removed with accents, after decomposition."),
    ):
        lines += array(key, "UInt32", comment, flat(ranges(tables[key])), 2)
    lines += array(
        "combining", "UInt32", "Canonical combining classes other than 0: first, last, class.", flat(combining), 3)
    lines += array(
        "lowercase", "Int32",
        "Lower case: first, last, step, difference. U+0130 alone gives two: i, U+0307.",
        flat(lowercase_runs(tables["lowercase"])), 4)
    lines += array(
        "decompositions", "UInt32",
        "Full canonical decompositions but Hangul's: code point << 3 | count, then the parts.", decompositions, 1)
    return "\n".join(lines + ["}", ""])


def compare(tables):
    """Prints how the measured tables differ from this Python's Unicode version."""
    category = {c: unicodedata.category(chr(c)) for c in SCALARS}
    ascii_marks = [c for c in range(33, 127) if not chr(c).isalnum()]
    expected = {
        "dropped": {c for c in SCALARS if category[c] in ("Cc", "Cf", "Co") and c not in (9, 10, 13)} | {0xFFFD},
        "punctuation": {c for c in SCALARS if category[c][0] == "P"} | set(ascii_marks),
        "nonspacing": {c for c in SCALARS if category[c] == "Mn" and c not in tables["decompositions"]},
        "lowercase": {c for c in SCALARS if chr(c).lower() != chr(c)},
        "decompositions": {
            c for c in SCALARS if c not in HANGUL and unicodedata.normalize("NFD", chr(c)) != chr(c)},
        "combining": {c for c in SCALARS if unicodedata.combining(chr(c)) and c not in tables["decompositions"]},
    }
    for key, theirs in expected.items():
        ours = set(tables[key])
        print(
            f"{key}: {len(ours)} code points; against Unicode {unicodedata.unidata_version}: "
            f"{len(ours - theirs)} more, {len(theirs - ours)} fewer", file=sys.stderr)
    values = [
        c for c in expected["combining"] & set(tables["combining"])
        if unicodedata.combining(chr(c)) != tables["combining"][c]]
    print(f"combining: {len(values)} other values", file=sys.stderr)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    output = Path(arguments[0]) if arguments else OUTPUT
    tables = measure()
    compare(tables)
    text = swift(tables)
    if "--check" in sys.argv[1:]:
        if output.read_text() != text:
            sys.exit(f"{output.name}: differs from what tokenizers {tokenizers.__version__} does now")
    else:
        output.write_text(text)


if __name__ == "__main__":
    main()
