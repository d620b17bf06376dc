"""Print what the user sees: plain unbuffered lines, tables, and a progress bar. Nothing else prints."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

# Redrawing a bar costs about 2 ms of Python; at this rate that is less than half a per cent of a run.
_REDRAW_S = 0.5
# Without a terminal the same news come as lines; one per half minute keeps a log readable.
_LINE_S = 30.0
# Evaluations closer than this are in the journal alone.
_NEWS_S = 1.0


# Control characters move the cursor, ring, or recolour a terminal; format characters hide or turn letters around. Names
# in people's files hold both. Line breaks and tabs are ours.
_UNSEEN = ("Cc", "Cf", "Co", "Cs")


def visible(text: str) -> str:
    """Write characters that nobody can see as \\x1b or \\u200b, so that a name shows what it is."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode()
        if letter not in "\n\t" and unicodedata.category(letter) in _UNSEEN
        else letter
        for letter in text
    )


def say(text: str = "") -> None:
    """Print a line of result or advice to standard output, at once."""
    print(visible(text), flush=True)


def note(text: str) -> None:
    """Print a line of progress to standard error."""
    print(visible(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print a warning to standard error: a choice made for the user, with its reason, or an alarm."""
    print(visible(f"warning: {text}"), file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """Print an error to standard error."""
    print(visible(f"error: {text}"), file=sys.stderr, flush=True)


def open_streams() -> None:
    """Give a process that was started without standard streams silent ones.

    Otherwise the next file that is opened gets the number 1 or 2, and a library writes its warnings into it.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # as long as the process


class Outliving:
    """A stream whose reader may go away: from then on it is silent. The journal has all that it would say."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._is_read = stream, True

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        if not self._is_read:
            return
        try:
            action()
        except (BrokenPipeError, ConnectionResetError):
            self._is_read = False
            # What is still buffered would be written, and fail again, when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def outliving_readers() -> Iterator[None]:
    """Go on when nobody reads any more: `homeostat train ... | head` ends head, not the training."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Outliving(out), Outliving(err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


class _Stderr:
    """Standard error as it is at the time of a line: while a bar is shown, lines go above it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(visible(text))

    def flush(self) -> None:
        sys.stderr.flush()


@contextmanager
def listening() -> Iterator[None]:
    """Show the notes of layers that may not print themselves: a choice and its reason."""
    # The library only logs; a program that imports it decides what to show. The command line shows all of it.
    logger, handler = logging.getLogger("homeostat"), logging.StreamHandler(_Stderr())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headings; columns line up and nothing is cut off."""
    # Escaped before they are measured; a line break inside a name would tear its row.
    cells = [
        [visible(str(cell)).replace("\n", "\\n").replace("\t", "\\t") for cell in row]
        for row in (columns, *rows)
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def emit(value: Mapping[str, Any]) -> None:
    """Print an answer for programs: one JSON object. A number that is not finite becomes null: JSON has none."""
    say(json.dumps(_plain(value), indent=1, allow_nan=False, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float) -> str:
    """Write four significant digits, as short as they can be."""
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Write ``42 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Shows how far a run is: a bar with ETA on a terminal, a line now and then anywhere else."""

    def __init__(
        self, title: str, total: int, start: int = 0, shown: bool = True, stream: TextIO | None = None
    ) -> None:
        self._title, self._total, self._start, self._is_shown = title, total, start, shown
        self._stream = stream if stream is not None else sys.stderr
        self._began = self._shown = time.monotonic()
        self._printed = -math.inf
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._redraw_s = _REDRAW_S if self._stream.isatty() else _LINE_S

    def __enter__(self) -> Progress:
        if self._is_shown and self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[news]}"),
            )
            # auto_refresh would redraw from a thread, in the middle of a training step.
            self._bar = Progress(
                *columns,
                console=Console(file=self._stream),
                auto_refresh=False,
                redirect_stdout=sys.stdout.isatty(),  # results that go into a file stay there
            )
            self._task = self._bar.add_task(self._title, total=self._total, completed=self._start, news="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.stop()

    def extend(self, total: int) -> None:
        """Count to another end."""
        self._total = total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)

    def is_due(self) -> bool:
        """Say whether it is time to show something; cheap enough for every step."""
        return time.monotonic() - self._shown > self._redraw_s

    def eta_s(self, step: int) -> float | None:
        """Return the seconds left at the pace so far; None while there is no pace."""
        done = step - self._start
        return (time.monotonic() - self._began) / done * (self._total - step) if done > 0 else None

    def show(self, step: int, numbers: Mapping[str, float]) -> None:
        """Show the step and its numbers now."""
        self._shown = time.monotonic()
        if not self._is_shown:
            return
        news = "  ".join(f"{name} {number(value)}" for name, value in numbers.items())
        eta = self.eta_s(step)
        left = "" if eta is None else f"{duration(eta)} left"
        if self._bar is None or self._task is None:
            parts = (f"{self._title}: step {step} of {self._total}", left, news)
            print(visible(", ".join(part for part in parts if part)), file=self._stream, flush=True)
        else:
            self._bar.update(self._task, completed=step, news=f"{left}  {news}", refresh=True)

    def news(self, step: int, text: str) -> None:
        """Print a line unless another came just before: a run of a thousand short epochs is not a thousand lines."""
        if step >= self._total or time.monotonic() - self._printed > _NEWS_S:
            self._printed = time.monotonic()
            self.line(text)

    def line(self, text: str) -> None:
        """Print a line of its own, above the bar."""
        if not self._is_shown:
            return
        if self._bar is None:
            print(visible(text), file=self._stream, flush=True)
        else:
            self._bar.console.print(visible(text), highlight=False, markup=False)
