"""A handle of the library as a Python object: frees itself, can be closed, and stays away from forked children."""

from __future__ import annotations

import ctypes
import os
import weakref

from . import _abi
from ._library import library
from .errors import KluereError


def _destroy(destroy, pointer: int, process: int) -> None:
    # A forked child has the pointer but not the threads behind it: there it is left alone.
    if os.getpid() == process:
        destroy(pointer)


class Handle:
    """Base of all objects that own memory of the library.

    The memory is freed when the object is collected, at close(), or at the end of a `with` block. Do not close an
    object while another thread is inside one of its methods.
    """

    _destroy_name = ""

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        if not isinstance(pointer, ctypes.c_void_p):
            kind = type(self).__name__
            raise TypeError(f"{kind} objects are made by the class methods of {kind}, such as read, open or create")
        self._pointer = pointer.value
        self._process = os.getpid()
        destroy = getattr(library(), self._destroy_name)
        self._finalizer = weakref.finalize(self, _destroy, destroy, self._pointer, self._process)
        # At exit the operating system takes the memory back; destroying then could meet threads that still work.
        self._finalizer.atexit = False

    @property
    def _handle(self) -> int:
        if not self._finalizer.alive:
            raise KluereError(
                _abi.KLUERE_ERR_BAD_HANDLE, "KLUERE_ERR_BAD_HANDLE", f"this {type(self).__name__} is closed"
            )
        if os.getpid() != self._process:
            raise KluereError(
                _abi.KLUERE_ERR_STATE,
                "KLUERE_ERR_STATE",
                f"this {type(self).__name__} was made before a fork; use multiprocessing's spawn or forkserver",
            )
        return self._pointer

    @property
    def closed(self) -> bool:
        return not self._finalizer.alive

    def close(self) -> None:
        """Frees the memory now. Closing twice is fine; anything else on a closed object raises KluereError."""
        self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()
