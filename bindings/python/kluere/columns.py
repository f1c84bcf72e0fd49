"""The flat table of a dataset: plain columns, Arrow and pandas, in both directions. Methods of Dataset.

The columns lie in the library's memory as Arrow has them; pyarrow and whoever else knows the Arrow PyCapsule interface
(polars, duckdb, pandas) take them without a copy: pyarrow.table(dataset).
"""

from __future__ import annotations

import ctypes
import struct
from typing import Dict, List, Mapping, Optional, Sequence

from ._arrays import numpy
from ._library import check, library
from .example import Entity, Example


class _ArrowSchema(ctypes.Structure):
    pass


class _ArrowArray(ctypes.Structure):
    pass


_ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_ArrowSchema))
_ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(_ArrowArray))
_ArrowSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowSchema))),
    ("dictionary", ctypes.POINTER(_ArrowSchema)),
    ("release", _ReleaseSchema),
    ("private_data", ctypes.c_void_p),
]
_ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
    ("dictionary", ctypes.POINTER(_ArrowArray)),
    ("release", _ReleaseArray),
    ("private_data", ctypes.c_void_p),
]


def _release(value) -> None:
    if value.release:
        value.release(ctypes.byref(value))


# ---- Capsules: a struct in memory of Python's that goes when nobody has the capsule any more

_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_allocate = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)(("PyMem_Malloc", ctypes.pythonapi))
_free = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyMem_Free", ctypes.pythonapi))


def _destructor(kind, name: bytes):
    def destroy(capsule):
        address = _capsule_pointer(capsule, name)
        if address:
            _release(kind.from_address(address))  # no release: a consumer has taken it
            _free(address)

    return ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(destroy)


_NAMES = {_ArrowSchema: b"arrow_schema", _ArrowArray: b"arrow_array"}
_DESTRUCTORS = {kind: _destructor(kind, name) for kind, name in _NAMES.items()}


def _capsule(value):
    """A capsule with what the struct holds, which the struct gives away."""
    kind = type(value)
    address = _allocate(ctypes.sizeof(kind))
    if not address:
        _release(value)
        raise MemoryError
    ctypes.memmove(address, ctypes.addressof(value), ctypes.sizeof(kind))
    return _new_capsule(address, _NAMES[kind], ctypes.cast(_DESTRUCTORS[kind], ctypes.c_void_p))


class Columns:
    """Mixed into Dataset."""

    def _export(self):
        schema, array = _ArrowSchema(), _ArrowArray()
        check(library().kluere_dataset_export_arrow(self._handle, ctypes.byref(schema), ctypes.byref(array)))
        return schema, array

    def __arrow_c_array__(self, requested_schema=None):
        """The Arrow PyCapsule interface; the columns have one form, whatever is requested."""
        schema, array = self._export()
        return _capsule(schema), _capsule(array)

    def columns(self) -> Dict[str, Sequence]:
        """The flat table: id, sentence, label, source, subject_word, subject_start_idx, subject_end_idx (inclusive, as in
        KLUE's files), subject_type, the same of the object, entity_pair; and origin where a row has one.

        Texts are lists of str, None where a row has none; indices are lists of int, NumPy arrays where NumPy is.
        """
        schema, array = self._export()
        try:
            return {
                schema.children[i].contents.name.decode(): _column(
                    schema.children[i].contents.format, array.children[i].contents
                )
                for i in range(schema.n_children)
            }
        finally:
            _release(array)
            _release(schema)

    def to_arrow(self):
        """A pyarrow.Table of the flat columns, which lie where the library made them. Needs pyarrow."""
        import pyarrow

        return pyarrow.Table.from_batches([pyarrow.record_batch(self)])

    def to_pandas(self):
        """A pandas.DataFrame of the flat columns. Needs pandas."""
        import pandas

        return pandas.DataFrame(self.columns())

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence], **options):
        """A dataset of flat columns, as columns() gives them; options as in create(): labels, bad_rows, context.

        sentence and the start and end indices (inclusive) are needed; a word that is not what stands there is refused.
        """
        count = len(columns["sentence"])
        return cls.create([_example(columns, row) for row in range(count)], **options)

    @classmethod
    def from_arrow(cls, table, **options):
        """Of a pyarrow.Table or RecordBatch with flat columns."""
        return cls.from_columns(table.to_pydict(), **options)

    @classmethod
    def from_pandas(cls, frame, **options):
        """Of a pandas.DataFrame with flat columns; missing values count as none."""
        missing = frame.isna()
        columns = {
            name: [None if gone else value for value, gone in zip(frame[name].to_list(), missing[name])]
            for name in frame.columns
        }
        return cls.from_columns(columns, **options)


def _column(format: bytes, array: _ArrowArray):
    rows = array.length
    if format == b"l":
        raw = ctypes.string_at(array.buffers[1], 8 * rows)
        return numpy().frombuffer(raw, "int64") if numpy() is not None else list(struct.unpack(f"{rows}q", raw))
    ends = struct.unpack(f"{rows + 1}i", ctypes.string_at(array.buffers[1], 4 * (rows + 1)))
    text = ctypes.string_at(array.buffers[2], ends[-1]) if ends[-1] else b""
    values: List[Optional[str]] = [text[a:b].decode("utf-8") for a, b in zip(ends, ends[1:])]
    if array.null_count:
        valid = ctypes.string_at(array.buffers[0], (rows + 7) // 8)
        values = [value if valid[i // 8] >> i % 8 & 1 else None for i, value in enumerate(values)]
    return values


def _example(columns: Mapping[str, Sequence], row: int) -> Example:
    def optional(name: str):
        value = columns[name][row] if name in columns else None
        return None if value is None else str(value)

    text = columns["sentence"][row]
    entities = []
    for role in ("subject", "object"):
        begin = int(columns[f"{role}_start_idx"][row])
        end = int(columns[f"{role}_end_idx"][row]) + 1
        word = optional(f"{role}_word")
        if word is not None and text[begin:end] != word:
            raise ValueError(f"row {row}: {role}_word is {word!r}, but the span is {text[begin:end]!r}")
        entities.append(Entity(begin, end, optional(f"{role}_type")))
    rest = {name: optional(name) for name in ("label", "id", "source", "origin")}
    return Example(text, entities[0], entities[1], **rest)
