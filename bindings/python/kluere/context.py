"""Where the arithmetic happens: device and threads."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Optional

from . import _abi
from ._handle import Handle
from ._library import assign, check, initialized, library, sized
from .errors import KluereError

_LEVELS = {
    _abi.KLUERE_LOG_ERROR: "ERROR",
    _abi.KLUERE_LOG_WARNING: "WARNING",
    _abi.KLUERE_LOG_INFO: "INFO",
    _abi.KLUERE_LOG_DEBUG: "DEBUG",
}


@_abi.kluere_log_fn
def _log(userdata, level, utf8, length) -> None:
    try:
        import logging  # not above: most programs never get a message

        logger = logging.getLogger("kluere")
        logger.log(getattr(logging, _LEVELS.get(level, "WARNING")), "%s", utf8.decode("utf-8", "replace"))
    except Exception:  # a logging handler's failure must not reach C
        pass


class Context(Handle):
    """Device and CPU threads that datasets, models and trainers use. Any number of Python threads may share one.

    device     "cpu" (default), "auto" (a GPU that can be used, else the CPU), "cuda" (the first) or "cuda:N"
    threads    CPU threads that work on one call, the caller's included; 0 = every core
    log_level  what the library reports: 0 nothing ... 4 everything; None = warnings and errors

    The library's messages go to Python's logger "kluere".
    """

    _destroy_name = "kluere_context_destroy"

    def __init__(self, device: Optional[str] = None, threads: int = 0, log_level: Optional[int] = None) -> None:
        _claim_process()
        options = initialized(_abi.kluere_context_options, "kluere_context_options_init")
        assign(
            options,
            device=None if device is None else _device_number(device),
            thread_count=threads,
            log_level=log_level,
        )
        # One thunk for the life of the process: models outlive their Context object and may still log.
        options.log = _log
        pointer = ctypes.c_void_p()
        check(library().kluere_context_create(ctypes.byref(options), ctypes.byref(pointer)))
        super().__init__(pointer)

    def _info(self):
        info = sized(_abi.kluere_context_info)
        check(library().kluere_context_describe(self._handle, ctypes.byref(info)))
        return info

    @property
    def device(self) -> str:
        """What was chosen: "cpu" or "cuda:N"."""
        number = self._info().device
        return "cpu" if number == _abi.KLUERE_DEVICE_CPU else f"cuda:{number - 1}"

    @property
    def device_name(self) -> str:
        return self._info().device_name.decode()

    @property
    def threads(self) -> int:
        return self._info().thread_count

    @property
    def instruction_set(self) -> str:
        """"avx512", "avx2", "neon" or "plain"; of a GPU its architecture, "sm_90"."""
        return self._info().instruction_set.decode()

    def selftest(self) -> None:
        """Computes small known problems on the device; raises if it gives other results than it should."""
        check(library().kluere_context_selftest(self._handle))

    def __repr__(self) -> str:
        if self.closed:
            return "<kluere.Context closed>"
        return f"<kluere.Context {self.device} ({self.device_name}), {self.threads} threads>"


def _device_number(device: str) -> int:
    if device == "cpu":
        return _abi.KLUERE_DEVICE_CPU
    if device == "auto":
        return _abi.KLUERE_DEVICE_AUTO
    if device == "cuda":
        return 1
    if device.startswith("cuda:") and device[5:].isdecimal():
        return int(device[5:]) + 1
    raise ValueError(f"device is {device!r}, expected 'cpu', 'auto', 'cuda' or 'cuda:N'")


_default: Optional[Context] = None
_default_lock = threading.Lock()
_process: Optional[int] = None  # the one that made the first context


def _claim_process() -> None:
    """The library's threads do not survive a fork: refuses to begin again in a forked child."""
    global _process
    if _process is None:
        _process = os.getpid()
    elif _process != os.getpid():
        raise KluereError(
            _abi.KLUERE_ERR_STATE,
            "KLUERE_ERR_STATE",
            "this process was forked from one that used kluere; use multiprocessing's spawn or forkserver",
        )


def default_context() -> Context:
    """The context used where none is given: CPU, every core. Made at first use."""
    global _default
    _claim_process()  # before the lock: a fork may have copied it locked
    with _default_lock:
        if _default is None or _default.closed:
            _default = Context()
        return _default
