"""The device that the GPU tests run on: a real GPU where KLUERE_TEST_DEVICE names one, else the stand-in driver of Tests/cuda,
which runs the kernels' own sources on the CPU."""

import ctypes
import fcntl
import os
import subprocess
from pathlib import Path

import kluere

REPOSITORY = Path(__file__).resolve().parents[3]
STANDIN = REPOSITORY / ".build" / "cuda" / "standin"
REAL = os.environ.get("KLUERE_TEST_DEVICE", "")  # "cuda" or "cuda:N"


def device():
    """The device's name for Context; builds the stand-in first if there is no real one."""
    if REAL:
        return REAL
    # Tests run in several processes, and one of them builds.
    STANDIN.parent.mkdir(parents=True, exist_ok=True)
    with open(STANDIN.parent / "standin.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(
            ["make", "--no-print-directory", "-s", "-C", str(REPOSITORY / "Tests" / "cuda"), "standin"],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    os.environ["KLUERE_CUDA_LIBRARIES"] = str(STANDIN)
    return "cuda"


def context(**options):
    return kluere.Context(device=device(), **options)


class StandIn:
    """What the tests ask of the stand-in driver; see Tests/cuda/standin/standin.h."""

    def __init__(self):
        self._library = ctypes.CDLL(str(STANDIN / "libcuda.so.1"))
        self._library.standin_set.argtypes = [ctypes.c_char_p, ctypes.c_longlong]
        self._library.standin_fail.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
        self._library.standin_fail.restype = None
        self._library.standin_clear.restype = None
        self._library.standin_calls.argtypes = [ctypes.c_char_p]
        self._library.standin_calls.restype = ctypes.c_long
        self._library.standin_violations.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._library.standin_violations.restype = ctypes.c_long

    def set(self, what, value):
        assert self._library.standin_set(what.encode(), value) == 0, what

    def fail(self, entry, nth, error):
        self._library.standin_fail(entry.encode(), nth, error)

    def clear(self):
        self._library.standin_clear()

    def calls(self, entry):
        return self._library.standin_calls(entry.encode())

    def violations(self):
        text = ctypes.create_string_buffer(8192)
        count = self._library.standin_violations(text, len(text))
        return "" if count == 0 else f"{count}:\n{text.value.decode()}"
