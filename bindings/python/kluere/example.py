"""One sentence with two marked entities."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Optional, Sequence, Union

from . import _abi
from ._arrays import choice
from ._library import check, library, struct_text, utf8


@dataclasses.dataclass(frozen=True)
class Entity:
    """text[begin:end] of a sentence: code points, end exclusive, as Python slices count."""

    begin: int
    end: int
    type: Optional[str] = None  # "PER", "ORG", ... or your own

    @classmethod
    def find(cls, text: str, word: str, type: Optional[str] = None) -> "Entity":
        """The one place where word stands in text; ValueError if it stands nowhere or in several places."""
        begin = text.find(word) if word else -1
        if begin < 0:
            raise ValueError(f"{word!r} is not in the sentence")
        if text.find(word, begin + 1) >= 0:
            raise ValueError(f"{word!r} stands in the sentence more than once: give its offsets")
        return cls(begin, begin + len(word), type)


EntityLike = Union[Entity, Sequence]


@dataclasses.dataclass(frozen=True)
class Example:
    """A sentence, its two entities and, where known, the relation between them.

    subject and object are Entity objects or tuples (begin, end) or (begin, end, type), in code points.
    """

    text: str
    subject: Entity
    object: Entity
    label: Optional[str] = None
    id: Optional[str] = None
    source: Optional[str] = None
    origin: Optional[str] = None  # id of the row that this one was made from; splits keep the two together

    def __post_init__(self) -> None:
        for name in ("subject", "object"):
            value = getattr(self, name)
            if not isinstance(value, Entity):
                super().__setattr__(name, Entity(*value))

    @property
    def subject_text(self) -> str:
        return self.text[self.subject.begin : self.subject.end]

    @property
    def object_text(self) -> str:
        return self.text[self.object.begin : self.object.end]


def c_examples(examples: Sequence[Example]):
    """A ctypes array of kluere_example; it keeps the bytes it points to alive. Offsets are in code points."""
    result = (_abi.kluere_example * len(examples))()
    for row, example in zip(result, examples):
        if not isinstance(example, Example):
            raise TypeError(f"expected kluere.Example, found {type(example).__name__}")
        _set_text(row, "text", example.text)
        _set_entity(row.subject, example.subject)
        _set_entity(row.object, example.object)
        for name in ("label", "id", "source", "origin"):
            if getattr(example, name) is not None:
                _set_text(row, name, getattr(example, name))
    return result


def c_entities(entities: Sequence[EntityLike]):
    """A ctypes array of kluere_entity, offsets in code points."""
    result = (_abi.kluere_entity * len(entities))()
    for struct, entity in zip(result, entities):
        _set_entity(struct, entity if isinstance(entity, Entity) else Entity(*entity))
    return result


def _set_text(struct, field: str, text: str) -> None:
    raw = utf8(text)
    setattr(struct, field, raw)
    setattr(struct, f"{field}_length", len(raw))


def _set_entity(struct, entity: Entity) -> None:
    # ctypes would wrap a negative number into a huge one: the message should show what was given.
    if entity.begin < 0 or entity.end < 0:
        raise ValueError(f"entity offsets must not be negative, found [{entity.begin}, {entity.end})")
    struct.begin = entity.begin
    struct.end = entity.end
    if entity.type is not None:
        _set_text(struct, "type", entity.type)


def from_c(row) -> Example:
    """The Example of a kluere_example in code points."""
    return Example(
        text=struct_text(row, "text", "text_length"),
        subject=_entity(row.subject),
        object=_entity(row.object),
        label=struct_text(row, "label", "label_length"),
        id=struct_text(row, "id", "id_length"),
        source=struct_text(row, "source", "source_length"),
        origin=struct_text(row, "origin", "origin_length"),
    )


def _entity(struct) -> Entity:
    return Entity(struct.begin, struct.end, struct_text(struct, "type", "type_length"))


def convert_offset(text: str, offset: int, from_unit: str, to_unit: str) -> int:
    """An offset into text in another unit: "bytes" (UTF-8), "code_points" (Python) or "utf16" (Java, JavaScript).

    An offset inside a character or past the end is refused.
    """
    if offset < 0:
        raise ValueError(f"offset must not be negative, found {offset}")
    raw = utf8(text)
    result = ctypes.c_size_t()
    check(
        library().kluere_offset_convert(
            raw,
            len(raw),
            offset,
            choice("from_unit", from_unit, "KLUERE_OFFSETS_"),
            choice("to_unit", to_unit, "KLUERE_OFFSETS_"),
            ctypes.byref(result),
        )
    )
    return result.value
