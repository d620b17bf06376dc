"""Guards hear the whole course of a run, in plain numbers, and their alarms reach journal and terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from curve import SETTINGS, make_task
from homeostat.engine.fit import fit
from homeostat.engine.state import differences
from homeostat.errors import Halted
from homeostat.guards import every
from homeostat.guards.base import AbstractGuard, Alarm, Event, Level
from homeostat.run import Run


class Listener(AbstractGuard):
    """Keeps the events, and raises an alarm at those of one kind."""

    name = "listener"

    def __init__(self, kind: str = "", level: Level = "warn") -> None:
        self.events: list[Event] = []
        self._kind, self._level = kind, level

    def watch(self, event: Event) -> Alarm | None:
        self.events.append(event)
        if event.kind != self._kind:
            return None
        return Alarm(guard=self.name, level=self._level, sentence=f"A planted alarm on {event.kind}.")

    @staticmethod
    def example() -> Iterator[Event]:
        return iter(())

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take over."""


def test_the_course_of_a_run(run: Run) -> None:
    listener = Listener()
    fit(make_task(), replace(SETTINGS, epochs=2), run, [listener])
    kinds = [event.kind for event in listener.events]
    assert kinds == ["start", *["step"] * 5, "epoch", "score", *["step"] * 5, "epoch", "score", "end"]
    start, step, epoch, score, end = (
        next(e for e in listener.events if e.kind == kind) for kind in dict.fromkeys(kinds)
    )
    assert start.numbers == {"steps": 10, "steps_per_epoch": 5, "clip": 1.0}
    assert (step.step, step.epoch, len(step.rows)) == (0, 0, 16)
    assert step.loss == step.terms["mse"] > 0
    assert 0 <= step.waited <= step.seconds
    assert (epoch.step, epoch.epoch, epoch.numbers["rows"]) == (5, 0, 14)
    assert epoch.numbers["disk_free_bytes"] > epoch.numbers["checkpoint_bytes"] > 0
    assert (score.select, score.direction, end.step) == ("valid/mse", "min", 10)
    assert score.scores["valid/mse"] > 0


@pytest.mark.parametrize("kind", ["start", "step", "epoch", "score", "end"])
def test_a_warning_is_written_down_and_training_goes_on(
    run: Run, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    state = fit(make_task(), SETTINGS, run, [Listener(kind)])
    assert state.step == 30
    assert next(run.events("alarm"))["sentence"] == f"A planted alarm on {kind}."
    assert f"warn: guard listener: A planted alarm on {kind}." in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["step", "epoch", "score"])
def test_a_halt_stops_after_saving_and_can_be_resumed_to_the_same_bits(run: Run, kind: str) -> None:
    expected = fit(make_task(), SETTINGS, run.child("whole"), []).snapshot()
    with pytest.raises(Halted, match=f"Guard listener: A planted alarm on {kind}"):
        fit(make_task(), SETTINGS, run, [Listener(kind, "halt")])
    assert run.status()["state"] == "halted"
    saved = fit(make_task(), SETTINGS, run, []).snapshot()
    assert not differences(expected, saved)
    assert [event["step"] for event in run.events("resume")] == [0 if kind == "step" else 5]


def test_a_finished_run_is_not_told_again(run: Run) -> None:
    fit(make_task(), SETTINGS, run, [Listener()])
    listener = Listener("start")
    fit(make_task(), SETTINGS, run, [listener])
    assert listener.events == []


def test_all_guards_are_silent_on_a_healthy_run(run: Run) -> None:
    fit(make_task(), replace(SETTINGS, epochs=12), run, every())
    assert [event["sentence"] for event in run.events("alarm") if event["level"] == "halt"] == []
