"""What a SentencePiece file that is made to take memory costs."""

import pathlib
import subprocess
import sys

import numpy
import pytest

HERE = pathlib.Path(__file__).resolve().parent
MANY = 2**21 - 1  # pieces, with the unknown one as many as there may be

OPEN = """
import sys
sys.path[:0] = [sys.argv[1]]
import kluere
context = kluere.Context(threads=1)
def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
before = kilobytes("VmRSS")
try:
    print(len(kluere.Tokenizer(sys.argv[2], context=context)))
except kluere.KluereError as error:
    print(str(error).split(".model: ")[1].rsplit(" (", 1)[0])
print(kilobytes("VmHWM") - before)
"""


def number(value):
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes(parts + [value])


def field(tag, content):
    return number(tag << 3 | 2) + number(len(content)) + content


UNKNOWN = field(1, field(1, b"<unk>") + b"\x18\x02")


def pieces(texts, end=b""):
    """Pieces of the rows of a table of bytes; `end`: fields behind each text."""
    count, width = texts.shape
    begin = number(10) + number(len(field(1, bytes(width))) + len(end)) + number(10) + number(width)
    parts = [numpy.frombuffer(part, numpy.uint8)[None].repeat(count, 0) for part in (begin, end)]
    return UNKNOWN + numpy.concatenate([parts[0], texts, parts[1]], 1).tobytes()


def counted(count, width):
    """Different texts: numbers in base 128, with leading characters that tell nothing apart."""
    numbers = numpy.arange(count)
    return numpy.stack([(numbers >> 7 * (width - 1 - k) & 127).astype(numpy.uint8) for k in range(width)], 1)


def random(count, width):
    return numpy.random.default_rng(1).integers(33, 127, (count, width), dtype=numpy.uint8)


def character_map(units, replacements):
    return UNKNOWN + field(3, field(2, units.to_bytes(4, "little") + bytes(units + replacements)))


BEGINNINGS = "vocabulary: {} pieces that begin in more than {} ways, expected at most 1048576 and two a piece"
CASES = {
    "pieces of three bytes": (lambda: pieces(counted(MANY, 3)), f"{MANY + 1}"),
    "pieces that are not used": (lambda: pieces(counted(MANY, 3), b"\x18\x05"), f"{MANY + 1}"),
    "pieces of 8 bytes": (lambda: pieces(random(MANY, 8)), BEGINNINGS.format(MANY, 2**20 + 2 * MANY)),
    "pieces of 16 bytes": (lambda: pieces(random(MANY, 16)), BEGINNINGS.format(MANY, 2**20 + 2 * MANY)),
    "pieces of 1000 bytes": (lambda: pieces(random(65000, 1000)), BEGINNINGS.format(65000, 2**20 + 130000)),
    "common beginnings": (
        lambda: pieces(numpy.concatenate([random(1, 20).repeat(2**20, 0), counted(2**20, 4)], 1)),
        f"{2**20 + 1}",
    ),
    "too many pieces": (
        lambda: UNKNOWN + field(1, b"") * 2**21, "SentencePiece model: 2097153 pieces, expected at most 2097152"
    ),
    "a character map's trie": (lambda: character_map(48 << 20, 12 << 20), "1"),
    "a character map's replacements": (lambda: character_map(8, 60 << 20), "1"),
    "a name": (
        lambda: UNKNOWN + field(2, field(47, b"\xff" * (60 << 20))),
        f"SentencePiece model: eos_piece has {60 << 20} bytes, expected at most 1024",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_sentencepiece_file_takes_a_few_times_its_size(name, tmp_path):
    make, expected = CASES[name]
    path = tmp_path / "x.model"
    path.write_bytes(make())
    line = [sys.executable, "-c", OPEN, HERE.parent, path]
    found = subprocess.run([str(part) for part in line], capture_output=True, check=True, timeout=60, text=True)
    said, kilobytes = found.stdout.splitlines()
    size = path.stat().st_size
    path.unlink()
    assert said == expected
    # The constant: what few pieces may have of beginnings.
    assert int(kilobytes) << 10 < 15 * size + (40 << 20), (kilobytes, size)
