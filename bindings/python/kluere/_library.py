"""Finds libkluere.so, refuses one of another ABI, declares its functions, and turns statuses into exceptions."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import List, Tuple

from . import _abi
from .errors import error

_FILE_NAMES = ("libkluere.so.%d" % _abi.KLUERE_ABI_VERSION, "libkluere.so", "libkluere.dylib")
# Where a build of the repository leaves the library, relative to its root.
_BUILD_FOLDERS = (".build/release", "dist/lib", "build/lib", "build")


def _candidates() -> List[str]:
    """Files to try, best first. KLUERE_LIBRARY, when set, is the only one: a wrong value must not go unnoticed."""
    chosen = os.environ.get("KLUERE_LIBRARY")
    if chosen:
        return [os.path.join(chosen, name) for name in _FILE_NAMES] if os.path.isdir(chosen) else [chosen]
    package = os.path.dirname(os.path.realpath(__file__))
    folders = [os.path.join(package, "lib")]
    repository = os.path.dirname(os.path.dirname(os.path.dirname(package)))
    if os.path.exists(os.path.join(repository, "include", "kluere.h")):
        folders += [os.path.join(repository, folder) for folder in _BUILD_FOLDERS]
    return [os.path.join(folder, name) for folder in folders for name in _FILE_NAMES]


def _system_names() -> List[str]:
    if os.environ.get("KLUERE_LIBRARY"):
        return []
    import ctypes.util  # not above: it brings in a good deal that is hardly ever needed

    return [name for name in (_FILE_NAMES[0], ctypes.util.find_library("kluere")) if name]


def _open() -> Tuple[ctypes.CDLL, str]:
    tried = []
    for path in _candidates():
        if not os.path.exists(path):
            tried.append(f"{path}: no such file")
            continue
        try:
            return ctypes.CDLL(os.path.realpath(path)), path
        except OSError as problem:
            tried.append(f"{path}: {problem}")
    for name in _system_names():
        try:
            return ctypes.CDLL(name), name
        except OSError as problem:
            tried.append(f"{name} (system): {problem}")
    raise ImportError(
        "libkluere.so was not found. Build it (make build) or point KLUERE_LIBRARY at it. Tried:\n  "
        + "\n  ".join(tried)
    )


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    """The loaded library with every function declared. Loaded at first use; ctypes calls release the GIL."""
    loaded, path = _open()
    try:
        loaded.kluere_abi_version.restype = ctypes.c_uint32
        abi = loaded.kluere_abi_version()
    except AttributeError:
        raise ImportError(f"{path} is not libkluere: it has no kluere_abi_version") from None
    if abi != _abi.KLUERE_ABI_VERSION:
        raise ImportError(
            f"{path} has ABI {abi}, this package was written for ABI {_abi.KLUERE_ABI_VERSION}. Two versions of kluere"
            " are mixed: install package and library from the same release"
        )
    for name, (result, parameters) in _abi.FUNCTIONS.items():
        try:
            function = getattr(loaded, name)
        except AttributeError:
            raise ImportError(f"{path} has no {name}: it is older than this package") from None
        function.restype = result
        function.argtypes = parameters
    loaded.path = path
    return loaded


def library_path() -> str:
    """The file that was loaded."""
    return library().path


def library_version() -> str:
    """The version of the loaded library, e.g. "0.1.0"."""
    return library().kluere_version_string().decode()


def status_error(status: int):
    """The exception for a status that has just been returned on this thread."""
    lib = library()
    name = lib.kluere_status_name(status).decode()
    size = lib.kluere_last_error(None, 0)
    buffer = ctypes.create_string_buffer(size)
    lib.kluere_last_error(buffer, size)
    return error(status, name, buffer.value.decode("utf-8", "replace"))


def check(status: int) -> None:
    """Raises the exception for anything but OK."""
    if status != _abi.KLUERE_OK:
        raise status_error(status)


def initialized(kind, init_name: str):
    """A struct of options with the library's defaults."""
    options = kind()
    check(getattr(library(), init_name)(ctypes.byref(options), ctypes.sizeof(options)))
    return options


def sized(kind):
    """A zeroed struct for the library to fill, struct_size set."""
    value = kind()
    value.struct_size = ctypes.sizeof(value)
    return value


def assign(struct, **values) -> None:
    """Sets fields of an options struct; None leaves the library's default. A number C would wrap is refused."""
    for name, value in values.items():
        if value is None:
            continue
        setattr(struct, name, value)
        if isinstance(value, int) and getattr(struct, name) != value:
            kind = dict(struct._fields_)[name]
            bits, signed = 8 * ctypes.sizeof(kind), kind(-1).value < 0
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
            raise ValueError(f"{name}: {value}, expected {low} to {high}")


def text_result(function, *arguments) -> str:
    """The text that a function hands out in its last parameter, a kluere_text."""
    lib = library()
    text = ctypes.c_void_p()
    check(function(*arguments, ctypes.byref(text)))
    try:
        # JSON writes a NUL as \\u0000: the text ends at the first.
        return lib.kluere_text_get(text, None).decode("utf-8")
    finally:
        lib.kluere_text_destroy(text)


def utf8(text: str) -> bytes:
    """UTF-8 of a str. A lone surrogate becomes bytes that the library refuses, with its place."""
    if not isinstance(text, str):
        raise TypeError(f"expected str, found {type(text).__name__}")
    return text.encode("utf-8", "surrogatepass")


def c_string(text: str, what: str) -> bytes:
    """UTF-8 for a parameter that ends at NUL: a NUL inside would cut it, so it is refused."""
    raw = utf8(text)
    if b"\0" in raw:
        raise ValueError(f"{what} contains a NUL character: {text!r}")
    return raw


def c_path(path) -> bytes:
    """A path (str, bytes or os.PathLike) for the library."""
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise ValueError(f"path contains a NUL character: {path!r}")
    return raw


def c_strings(texts, what: str):
    """(array for a `const char *const *` parameter, its length). A str in place of a sequence is refused."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"{what}: expected a sequence of str, found {type(texts).__name__}")
    raw = [c_string(text, what) for text in texts]
    return (ctypes.c_char_p * len(raw))(*raw), len(raw)


def struct_text(struct, field: str, length_field: str):
    """The str behind a `const char *` field with a length field (it may contain NUL); None for NULL."""
    address = ctypes.c_void_p.from_buffer(struct, getattr(type(struct), field).offset).value
    if address is None:
        return None
    return ctypes.string_at(address, getattr(struct, length_field)).decode("utf-8")


if sys.platform == "win32":  # pragma: no cover
    raise ImportError("kluere has no library for Windows")
