"""A request to stop is heard between steps, inside abortable blocks at once, and never twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from homeostat.engine.interrupt import Interrupt, listening, seconds
from homeostat.errors import ConfigError, Interrupted
from patience import PATIENCE_S, wait_for


@contextmanager
def heard() -> Iterator[Interrupt]:
    """An Interrupt that raises at its end the request that nobody acted upon."""
    with pytest.raises(Interrupted), Interrupt() as interrupt:
        yield interrupt


def test_outside_an_abortable_block_a_signal_only_leaves_its_reason() -> None:
    with heard() as interrupt:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert interrupt.reason == "it was asked to stop (SIGUSR1)"


def test_a_request_that_comes_when_the_work_is_done_is_not_lost() -> None:
    with pytest.raises(Interrupted, match=r"ended because it was asked to stop \(SIGTERM\)"), Interrupt():
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_error_goes_before_a_request() -> None:
    def fail() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Interrupt():
        fail()


def test_abortable_work_is_left_at_once_and_never_begun_again() -> None:
    reached = []

    def work() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("after the signal")
        return 1

    with heard() as interrupt:
        assert interrupt.abortable(lambda: 5) == 5
        assert interrupt.abortable(work) is None
        assert interrupt.abortable(work) is None
    assert reached == []


def test_an_error_in_abortable_work_is_raised() -> None:
    with Interrupt() as interrupt, pytest.raises(ZeroDivisionError):
        interrupt.abortable(lambda: 1 / 0)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with heard() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.reason
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_time_budget_ends_whatever_is_going_on() -> None:
    with pytest.raises(Interrupted, match="its time budget is used up"), listening(0.05):
        time.sleep(PATIENCE_S)


def test_inside_fit_the_budget_is_heard_by_its_own_interrupt() -> None:
    with listening(2.0), heard() as interrupt:
        wait_for(lambda: interrupt.reason)
        assert interrupt.reason == "its time budget is used up"


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), ("2 min", 120)])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["25", "0s", "m", "-3m", "1d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"is not a duration\. Write a number and a unit: 90s, 25m or 1\.5h\."
    ):
        seconds(text)
