"""Requests to stop: signals and time budgets, honoured between two steps or in the middle of an evaluation."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, TypeVar

from homeostat.errors import ConfigError, Interrupted

T = TypeVar("T")

# SIGALRM is the clock of --stop-after; SIGUSR1 is what batch systems send before they kill.
_NAMES = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGALRM")
_WORDS = {"SIGALRM": "its time budget is used up", "SIGINT": "it was interrupted by the keyboard (SIGINT)"}


class _Aborted(BaseException):
    """Raised by the signal handler inside an abortable block. Not an Exception: nobody may swallow it."""


class Interrupt:
    """Listens for requests to stop while the `with` block runs. Outside the main thread there is nothing to hear.

    A request that comes when the work is done, before the handlers are given back, is not lost: it is raised then.
    """

    def __init__(self, is_shared: bool = False) -> None:
        self.reason = ""
        """Why this process shall stop, or nothing."""
        self._is_shared, self._agreed = is_shared, ""
        self._previous: dict[signal.Signals, Any] = {}
        self._abortable = False

    @property
    def stops(self) -> str:
        """Why the run must stop now, or nothing. Several processes stop at the step on which they agreed."""
        return self._agreed if self._is_shared else self.reason

    def agree(self) -> None:
        """Note that all processes know of a request of any of them."""
        self._agreed = self.reason or "another process was asked to stop"

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                if name in signal.Signals.__members__:
                    number = signal.Signals[name]
                    self._previous[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
        # A request between the last look and the end was lost once, and a recipe of many fits began the next one.
        if kind is None and self.reason:
            raise Interrupted(f"The run ended because {self.reason}.")

    def _hear(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.reason and name == "SIGINT":
            raise KeyboardInterrupt  # the second Ctrl-C: the user does not want to wait for the save
        self.reason = _WORDS.get(name, f"it was asked to stop ({name})")
        if self._abortable:
            raise _Aborted

    def abortable(self, work: Callable[[], T]) -> T | None:
        """Do work that changes nothing, such as an evaluation; None if it was left because a request came."""
        try:
            try:
                self._abortable = True
                return None if self.reason else work()
            finally:
                self._abortable = False
        except _Aborted:  # outside, for a signal that comes while the inner block is being left
            return None


@contextmanager
def listening(budget_s: float | None) -> Iterator[None]:
    """Turn every request to stop, and the end of the time budget, into Interrupted, wherever the program is.

    Inside `fit` its own Interrupt listens, saves first, and raises the same.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("Signals and --stop-after need the main thread; call this from there.")
    if budget_s is not None and os.name != "posix":
        raise ConfigError("--stop-after needs Linux or macOS. Leave it out, and end the run with Ctrl-C.")

    def leave(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        raise Interrupted(f"The run ended because {_WORDS.get(name, f'it was asked to stop ({name})')}.")

    numbers = [signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__]
    previous = {number: signal.signal(number, leave) for number in numbers}
    try:
        if budget_s is not None:
            signal.setitimer(signal.ITIMER_REAL, budget_s)
        yield
    finally:
        if budget_s is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)


_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Read a duration such as 90s, 25m or 1.5h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)", text.strip())
    if match is None or float(match[1]) == 0:
        raise ConfigError(f"{text!r} is not a duration. Write a number and a unit: 90s, 25m or 1.5h.")
    return float(match[1]) * _UNITS[match[2]]
