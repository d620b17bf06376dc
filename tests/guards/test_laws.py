"""Laws that every guard of GUARDS obeys: it speaks on its own example, soon, and on no healthy run."""

from __future__ import annotations

import json

import pytest

from homeostat.guards import GUARDS, every, streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

SEEDS = range(30)
# Steps after the onset within which each must have spoken. Default 60; a guard that judges epochs needs some.
DELAY = {"plateau": 200, "undertrained": 250, "overfit": 225, "memory": 200, "clipped": 400}
# What belongs to a process and its machine is learnt anew after a resume.
RELEARNS = {"pace", "stalled", "memory", "disk", "deadline"}

each = pytest.mark.parametrize("kind", GUARDS, ids=lambda kind: kind.name)


def alarms(guard: AbstractGuard, events: object) -> list[tuple[Event, Alarm]]:
    return [(event, alarm) for event in events if (alarm := guard.watch(event)) is not None]  # type: ignore[attr-defined]


@each
def test_speaks_on_its_example_soon_and_not_before(kind: type[AbstractGuard]) -> None:
    heard = alarms(kind(), kind.example())
    assert heard, f"{kind.name} is silent on its own example"
    event, alarm = heard[0]
    is_late = event.step > streams.ONSET + DELAY.get(kind.name, 60)
    assert event.step >= (0 if kind.name in ("plateau", "zero_term", "undertrained") else streams.ONSET)
    assert not is_late, f"spoke at step {event.step}"
    assert len(heard) <= 25 or alarm.level == "halt", f"repeats itself {len(heard)} times"


@each
def test_is_silent_on_healthy_runs(kind: type[AbstractGuard]) -> None:
    for seed in SEEDS:
        heard = alarms(kind(), streams.healthy(seed))
        assert not heard, f"seed {seed}: {heard[0][1].sentence}"


@each
def test_an_alarm_stands_alone(kind: type[AbstractGuard]) -> None:
    _, alarm = alarms(kind(), kind.example())[0]
    assert alarm.guard == kind.name
    assert any(letter.isdigit() for letter in alarm.sentence), "a sentence carries its number"
    assert alarm.sentence.endswith(".")
    assert alarm.sentence.count(". ") + alarm.sentence.count(": ") >= 1, "what is wrong, and what to do"
    assert all(isinstance(value, float | int) for value in alarm.numbers.values())


@each
@pytest.mark.parametrize("cut", [40, 160, 200])
def test_a_resume_changes_no_verdict(kind: type[AbstractGuard], cut: int) -> None:
    """Saved as JSON can hold it, loaded into a fresh guard, and the same alarms follow."""
    if kind.name in RELEARNS:
        pytest.skip("measures the process, not the run")
    events = list(kind.example())
    whole = [alarm.sentence for _, alarm in alarms(kind(), events)]
    first = kind()
    before = alarms(first, events[:cut])
    second = kind()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    after = alarms(second, events[cut:])
    assert [alarm.sentence for _, alarm in [*before, *after]] == whole


@each
def test_a_saved_state_is_a_copy(kind: type[AbstractGuard]) -> None:
    guard = kind()
    events = list(kind.example())
    alarms(guard, events[:100])
    saved = guard.state_dict()
    before = repr(saved)
    alarms(guard, events[100:])
    assert repr(saved) == before


def test_names_are_unique_and_the_files_are_named_after_them() -> None:
    names = [kind.name for kind in GUARDS]
    assert len(set(names)) == len(names)
    assert [kind.__module__.rsplit(".", 1)[1] for kind in GUARDS] == names
    assert [guard.name for guard in every()] == names
