"""How far a long call is: one line that redraws itself in a terminal, an occasional plain line elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Optional, TextIO

_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0


class ProgressBar:
    """A bar on stderr (or another stream). update() as often as you like; close() or a `with` block ends it."""

    def __init__(self, title: str, stream: Optional[TextIO] = None) -> None:
        self.title = title
        self._stream = sys.stderr if stream is None else stream
        self._terminal = hasattr(self._stream, "isatty") and self._stream.isatty()
        self._begun = time.monotonic()
        self._shown = float("-inf")
        self._drawn = False
        self._last = ""
        self._first_done: Optional[int] = None

    def update(self, done: int, total: int, text: str = "") -> None:
        """done of total units of work; text is shown behind the bar."""
        now = time.monotonic()
        if self._first_done is None:  # a resumed run does not begin at 0
            self._first_done, self._begun = max(0, done - 1), min(self._begun, now)
        if now - self._shown < (_REDRAW_SECONDS if self._terminal else _LINE_SECONDS) and done < total:
            return
        self._shown = now
        count = f"{done}/{total}"
        clock = self._clock(done, total, now)
        if not self._terminal:
            self._write(" ".join(part for part in (f"{self.title}: {count}", clock, text) if part) + "\n")
            return
        width = shutil.get_terminal_size().columns - 1
        tail = f" {count} {clock} {text}".rstrip()
        cells = max(0, min(40, width - len(self.title) - len(tail) - 3))
        filled = cells * done // total if total else cells
        bar = f" |{'█' * filled}{'·' * (cells - filled)}|" if cells >= 5 else ""
        self._last = (self.title + bar + tail)[:width]
        self._write("\r\x1b[K" + self._last)
        self._drawn = True

    def line(self, text: str) -> None:
        """A line that stays, above the bar."""
        self._write(("\r\x1b[K" if self._drawn else "") + text + "\n" + (self._last if self._drawn else ""))

    def close(self) -> None:
        if self._drawn:
            self._write("\n")
            self._drawn = False

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _clock(self, done: int, total: int, now: float) -> str:
        elapsed = now - self._begun
        made = done - (self._first_done or 0)
        if done >= total or made <= 0:
            return _duration(elapsed)
        return f"{_duration(elapsed)}<{_duration(elapsed / made * (total - done))}"

    def _write(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except (UnicodeError, LookupError):
            text = text.replace("█", "#").replace("·", ".").encode("ascii", "replace").decode()
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a closed terminal is no reason to end a training run
            pass


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


class TrainingProgress:
    """Shows the events of Trainer.run: a bar with loss and speed, and a line for each evaluation."""

    def __init__(self, stream: Optional[TextIO] = None) -> None:
        self._bar = ProgressBar("train", stream)
        self._tokens = 0
        self._seconds = 0.0

    def __call__(self, event) -> None:
        step = event.step
        if event.kind == "step":
            self._tokens += step.tokens
            self._seconds += step.seconds
            speed = self._tokens / self._seconds if self._seconds > 0 else 0.0
            self._bar.update(
                step.step, step.total_steps, f"epoch {step.epoch:.2f} loss {step.loss:.4f} {speed:,.0f} tokens/s"
            )
        elif event.kind == "evaluation":
            best = "  (best so far)" if event.is_best else ""
            self._bar.line(f"step {step.step}: {event.metrics}{best}")

    def close(self) -> None:
        self._bar.close()
