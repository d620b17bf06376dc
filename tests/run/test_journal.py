"""A journal is strict JSON, one event per line, also after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeostat.run.journal import damaged, events, is_torn, line_of, parsed


def test_a_line_is_strict_json_and_shows_what_is_no_number() -> None:
    line = line_of({"kind": "step", "loss": float("nan"), "nested": {"x": [float("inf")]}})
    event = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert event == {"kind": "step", "loss": "nan", "nested": {"x": ["inf"]}}
    assert line.count("\n") == 1


@pytest.mark.parametrize("kept", range(33))
def test_wherever_a_kill_cuts_the_last_line_the_others_are_read(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.jsonl"
    first, last = line_of({"kind": "step", "loss": 1.0}), line_of({"kind": "epoch", "loss": 2.0})
    path.write_text(first + last[:kept])
    whole = kept >= len(last) - 1
    assert [event["loss"] for event in events(path)] == ([1.0, 2.0] if whole else [1.0])
    assert [event["loss"] for event in events(path, "step")] == [1.0]
    assert is_torn(path) == (0 < kept < len(last))


def test_a_journal_that_is_absent_or_empty_holds_nothing_and_is_not_torn(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert list(events(path)) == []
    path.touch()
    assert list(events(path)) == []
    assert not is_torn(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"step": {}},
        {"step": -1},
        {"step": True},
        {"best": "x"},
        {"valid/mse": []},
        {"kind": 7},
        {"sentence": 1},
    ],
    ids=str,
)
def test_an_event_whose_value_is_of_another_type_is_none(changed: dict[str, object]) -> None:
    event = {"kind": "score", "step": 4, "valid/mse": 0.5, "best": True, "sentence": "A score."}
    assert parsed(line_of(event).encode()) == event
    assert parsed(line_of(event | changed).encode()) is None


def test_a_finding_without_what_readers_need_is_none() -> None:
    whole = {**dict.fromkeys(("audit", "severity", "what", "cause", "advice", "command"), ""), "evidence": {}}
    assert parsed(line_of({"kind": "finding", **whole}).encode())
    assert parsed(line_of({"kind": "finding", **whole, "evidence": []}).encode()) is None
    assert parsed(line_of({"kind": "finding", "step": 0, "audit": "leakage"}).encode()) is None


def test_lines_that_no_kill_leaves_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"kind": "score", "step": 1}\n{"kind": "sco\n{"kind": "score", "step": "x"}\n[1]\n')
    assert damaged(path) == [3, 4]
    assert damaged(tmp_path / "absent.jsonl") == []


def test_events_of_recipes_have_names_of_their_own() -> None:
    """A stack notes the nested score of its rung `best`."""
    event = {"kind": "stack", "rung": "mlp", "best": 0.31, "mean": 0.29}
    assert parsed(json.dumps(event).encode()) == event
