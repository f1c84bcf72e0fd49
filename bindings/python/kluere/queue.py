"""Requests of many threads or tasks, answered together."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Optional, Sequence, Union

from . import _abi
from ._arrays import block, rows_of
from ._handle import Handle
from ._library import assign, check, initialized, library, sized
from .errors import Busy
from .example import Example, c_examples
from .predictor import predictor_options

if TYPE_CHECKING:
    from .model import Model


@dataclasses.dataclass(frozen=True)
class QueueStats:
    """What a queue did since it was made or last reset. Latencies in seconds, from the call to its answer."""

    waiting: int  # requests that wait now
    requests: int  # that were answered
    rows: int
    batches: int
    refused: int  # Busy
    late: int  # TimedOut
    failed: int  # any other error
    seconds: float
    rows_per_batch: float
    rows_per_second: float
    latency_p50: float
    latency_p95: float
    latency_p99: float
    latency_max: float


class Queue(Handle):
    """Merges the requests of any number of threads into batches of one model. It starts no threads: one of the callers
    that wait computes for all.

    max_delay_us      microseconds that a batch's first request waits for others (default: 0; what comes while a batch is
                      computed is the next one)
    max_batch_rows    default 32
    max_batch_tokens  default: batch_tokens
    max_waiting       requests that may wait; one more raises Busy (default: 1024)
    workers           batches computed at once; more than one need threads of their own (default: as many as the context
                      has threads for, else 1)
    async_threads     of predict_async: as many requests can wait in the queue at once

    output, batch_tokens, precision, decoding, type_mask, type_mask_strength, threads: as a Predictor's.
    """

    _destroy_name = "kluere_queue_destroy"

    def __init__(
        self,
        model: Model,
        *,
        max_delay_us: Optional[int] = None,
        max_batch_rows: Optional[int] = None,
        max_batch_tokens: Optional[int] = None,
        max_waiting: Optional[int] = None,
        workers: Optional[int] = None,
        async_threads: int = 64,
        **predictor,
    ) -> None:
        options = initialized(_abi.kluere_queue_options, "kluere_queue_options_init")
        assign(
            options,
            max_delay_us=max_delay_us,
            max_batch_rows=max_batch_rows,
            max_batch_tokens=max_batch_tokens,
            max_waiting=max_waiting,
            workers=workers,
        )
        each = predictor_options(**predictor)
        pointer = ctypes.c_void_p()
        check(
            library().kluere_queue_create(
                model._handle, ctypes.byref(each), ctypes.byref(options), ctypes.byref(pointer)
            )
        )
        super().__init__(pointer)
        self._columns = library().kluere_model_label_count(model._handle)
        self._async_threads = async_threads
        self._pending, self._most_pending = 0, int(options.max_waiting)
        self._executor: Optional[concurrent.futures.ThreadPoolExecutor] = None
        self._executor_lock = threading.Lock()

    def predict(self, examples: Union[Example, Sequence[Example]], *, timeout: Optional[float] = None):
        """As Model.predict: a table of rows x labels, for one Example the row alone. From any thread.

        timeout   seconds in which the computation must have begun, else TimedOut is raised
        """
        if isinstance(examples, Example):
            return self.predict([examples], timeout=timeout)[0]
        rows = list(examples)
        container, pointer = block("f", len(rows) * self._columns)
        check(
            library().kluere_queue_predict(
                self._handle,
                c_examples(rows),
                ctypes.sizeof(_abi.kluere_example),
                len(rows),
                _abi.KLUERE_OFFSETS_CODE_POINTS,
                _microseconds(timeout),
                pointer,
                len(pointer),
            )
        )
        return rows_of(container, len(rows), self._columns)

    async def predict_async(self, examples: Union[Example, Sequence[Example]], *, timeout: Optional[float] = None):
        """The same without holding up the event loop. A task that is cancelled meanwhile leaves its request to be computed.

        timeout counts from the call. Calls beyond `async_threads` wait for one of those threads; each is Busy from the queue's
        max_waiting on.
        """
        begun = time.monotonic()

        def predict():
            # A time that is over already is TimedOut, as it is while others compute.
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - begun))
            return self.predict(examples, timeout=left)

        def done(_future):
            with self._executor_lock:
                self._pending -= 1

        with self._executor_lock:
            self._handle  # closed: says so
            if self._pending >= self._most_pending:
                found = f"queue: {self._pending} requests wait, expected fewer than max_waiting"
                raise Busy(_abi.KLUERE_ERR_BUSY, "KLUERE_ERR_BUSY", found)
            if self._executor is None:
                self._executor = concurrent.futures.ThreadPoolExecutor(self._async_threads, "kluere-queue")
            self._pending += 1
            future = self._executor.submit(predict)
        future.add_done_callback(done)
        return await asyncio.wrap_future(future)

    def stats(self, *, reset: bool = False) -> QueueStats:
        """reset: the figures then begin anew."""
        info = sized(_abi.kluere_queue_info)
        check(library().kluere_queue_stats(self._handle, 1 if reset else 0, ctypes.byref(info)))
        return QueueStats(**{field.name: getattr(info, field.name) for field in dataclasses.fields(QueueStats)})

    def close(self) -> None:
        """Whoever waits gets Cancelled. Safe while other threads are inside predict."""
        super().close()
        with self._executor_lock:
            if self._executor is not None:
                self._executor.shutdown(wait=False)
                self._executor = None


def _microseconds(timeout: Optional[float]) -> int:
    """0 is none in C; a time that is over already is the shortest there is."""
    if timeout is None:
        return 0
    if not 0 <= timeout < 1e12:
        raise ValueError(f"timeout: {timeout}, expected seconds from 0 on")
    return max(1, round(timeout * 1e6))
