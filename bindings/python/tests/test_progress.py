"""The progress bar, in and out of a terminal. Needs no library."""

import io

from kluere.progress import ProgressBar


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_terminal_gets_one_line_that_redraws_itself():
    stream = Terminal()
    with ProgressBar("train", stream) as bar:
        bar.update(1, 4, "loss 1.0")
        bar.update(2, 4, "too soon to be drawn")
        bar.line("step 2: micro-F1 50.00")
        bar.update(4, 4, "loss 0.5")
    text = stream.getvalue()
    assert text.count("\n") == 2 and text.endswith("\n")
    assert "too soon" not in text and "step 2: micro-F1 50.00\n" in text
    assert "4/4" in text and "loss 0.5" in text and "█" in text


def test_elsewhere_plain_lines():
    stream = io.StringIO()
    with ProgressBar("predict", stream) as bar:
        for done in range(1, 1001):
            bar.update(done, 1000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and lines[-1].startswith("predict: 1000/1000")
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_a_terminal_without_unicode_and_a_closed_stream():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    stream.isatty = lambda: True
    bar = ProgressBar("train", stream)
    bar.update(2, 4, "한국어")
    assert b"#" in raw.getvalue()
    stream.detach()
    bar.update(4, 4)


def test_nothing_to_do_is_no_division_by_zero():
    ProgressBar("train", Terminal()).update(0, 0)
