"""What kluere raises: one exception with the library's status and message, and a few kinds of it."""

from __future__ import annotations

from . import _abi


class KluereError(Exception):
    """A call of libkluere that did not succeed.

    status       the code, one of kluere.h's KLUERE_ERR_*; branch on this or on the class, never on the message
    status_name  its name, e.g. "KLUERE_ERR_IO"
    message      one line: what, where, what was found, what was expected
    """

    def __init__(self, status: int, status_name: str, message: str) -> None:
        super().__init__(status, status_name, message)
        self.status = status
        self.status_name = status_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.status_name})"


class InvalidArgument(KluereError, ValueError):
    """An argument, option, row or text that cannot be right (INVALID_ARGUMENT, INVALID_UTF8)."""


class OutOfMemory(KluereError, MemoryError):
    """OUT_OF_MEMORY."""


class NotFinite(KluereError, ArithmeticError):
    """Loss or gradient became NaN or infinite (NOT_FINITE); the update was not made."""


class Cancelled(KluereError):
    """A callback, request_stop or Ctrl-C ended the call early (CANCELLED); the trainer can go on. Or a queue was closed."""


class Busy(KluereError):
    """A queue has as many requests as it may (BUSY): try again later, or elsewhere."""


class TimedOut(KluereError, TimeoutError):
    """A request's time was over before its computation began (TIMEOUT)."""


_CLASSES = {
    _abi.KLUERE_ERR_INVALID_ARGUMENT: InvalidArgument,
    _abi.KLUERE_ERR_INVALID_UTF8: InvalidArgument,
    _abi.KLUERE_ERR_OUT_OF_MEMORY: OutOfMemory,
    _abi.KLUERE_ERR_NOT_FINITE: NotFinite,
    _abi.KLUERE_ERR_CANCELLED: Cancelled,
    _abi.KLUERE_ERR_BUSY: Busy,
    _abi.KLUERE_ERR_TIMEOUT: TimedOut,
}


def error(status: int, status_name: str, message: str) -> KluereError:
    """The exception for a status."""
    return _CLASSES.get(status, KluereError)(status, status_name, message)
