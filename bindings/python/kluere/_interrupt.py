"""Ctrl-C during a long call into C.

Python runs its signal handlers between bytecodes, so in a call that takes minutes nothing would happen. While the main
thread is inside such a call, SIGINT is noted instead of raised: C's part of Python's handler writes the signal's
number to a pipe, a thread that reads the pipe asks the trainer to stop, and the call returns at its next safe point.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Callable


class Interruptible:
    """`with Interruptible(request_stop) as guard:` around the call; afterwards guard.interrupted says whether.

    Outside the main thread, or where the program handles SIGINT in its own way, it does nothing.
    raising: set while a Python callback runs inside the call; there Ctrl-C raises KeyboardInterrupt as always.
    """

    def __init__(self, request_stop: Callable[[], None]) -> None:
        self._request_stop = request_stop
        self._active = False
        self._previous = -1
        self.interrupted = False
        self.raising = False

    def __enter__(self) -> "Interruptible":
        if threading.current_thread() is not threading.main_thread():
            return self
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return self
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._thread = threading.Thread(target=self._watch, name="kluere-interrupt", daemon=True)
        signal.signal(signal.SIGINT, self._note)  # from here on Ctrl-C is noted, so nothing below is left half-done
        self._active = True
        self._previous = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        if not self._active:
            return
        signal.set_wakeup_fd(self._previous)
        os.close(self._write)  # ends the thread
        self._thread.join()
        os.close(self._read)
        # Runs the handlers of signals that came before, so `interrupted` is final after it.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number, frame) -> None:
        self.interrupted = True
        if self.raising:
            raise KeyboardInterrupt

    def _watch(self) -> None:
        while True:
            numbers = os.read(self._read, 64)
            if not numbers:
                return
            if signal.SIGINT in numbers:
                self._request_stop()
            if self._previous >= 0:  # an event loop's descriptor: it gets what it would have got
                try:
                    os.write(self._previous, numbers)
                except OSError:
                    pass
