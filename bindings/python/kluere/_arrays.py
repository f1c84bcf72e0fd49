"""Blocks of numbers that C fills: NumPy arrays where NumPy is importable, else array.array."""

from __future__ import annotations

import array
import ctypes
import functools

from . import _abi


@functools.lru_cache(maxsize=None)
def numpy():
    """The module, or None where it is not importable. Imported at first use: that takes longer than a first prediction."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


_KINDS = {
    "f": (ctypes.c_float, "float32"),
    "d": (ctypes.c_double, "float64"),
    "i": (ctypes.c_int32, "int32"),
    "I": (ctypes.c_uint32, "uint32"),
    "Q": (ctypes.c_uint64, "uint64"),
}


def block(code: str, count: int):
    """(container, ctypes array over its memory) of count zeros. code: "f" float32, "d" float64, "i" int32, "I" uint32,
    "Q" uint64."""
    kind, dtype = _KINDS[code]
    if numpy() is not None:
        container = numpy().zeros(count, dtype)
    else:
        container = array.array(code, bytes(ctypes.sizeof(kind) * count))
    return container, view(container, code, count)


def view(container, code: str, count: int):
    kind = _KINDS[code][0]
    return (kind * count).from_buffer(container) if count else (kind * 0)()


def rows_of(container, rows: int, columns: int):
    """A flat block as a table: a NumPy matrix, or a list of array.array."""
    if numpy() is not None:
        return container.reshape(rows, columns)
    return [container[i * columns : (i + 1) * columns] for i in range(rows)]


def flat(values, code: str):
    """(container, ctypes array, shape) of numbers from the caller: a sequence, a table, a NumPy array."""
    kind, dtype = _KINDS[code]
    if numpy() is not None:
        container = numpy().array(values, dtype=dtype, order="C")  # a copy: writable and contiguous
        return container, view(container.reshape(-1), code, container.size), container.shape
    if isinstance(values, array.array):
        rows, shape = [values], (len(values),)
    else:
        values = list(values)
        if values and hasattr(values[0], "__len__"):
            width = len(values[0])
            if any(len(row) != width for row in values):
                raise ValueError("the rows have different lengths")
            rows, shape = values, (len(values), width)
        else:
            rows, shape = [values], (len(values),)
    container = array.array(code)
    for row in rows:
        container.extend(array.array(code, row))
    return container, view(container, code, len(container)), shape


def indices(values):
    """A size_t array of row numbers. Negative ones are refused here: C could not tell them from huge ones."""
    numbers = [int(value) for value in values]
    if any(number < 0 for number in numbers):
        raise IndexError("row numbers must not be negative")
    return (ctypes.c_size_t * len(numbers))(*numbers), len(numbers)


def choice(what: str, value: str, prefix: str) -> int:
    """The number of an option given by name: choice("schedule", "linear", "KLUERE_SCHEDULE_")."""
    names = choices(prefix)
    if value not in names:
        raise ValueError(f"{what} is {value!r}, expected one of " + ", ".join(map(repr, names)))
    return names[value]


def choices(prefix: str) -> dict:
    """The constants of kluere.h that begin with prefix, as {"lower_case_rest": number}."""
    return {
        name[len(prefix) :].lower(): value for name, value in vars(_abi).items() if name.startswith(prefix)
    }


def choice_name(value: int, prefix: str) -> str:
    for name, number in choices(prefix).items():
        if number == value:
            return name
    return str(value)
