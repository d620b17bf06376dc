"""The journal of a run: one event per line, in strict JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from homeostat.run import manifest

# What readers count on: the types of values in events.
_TYPES: dict[str, type] = {
    **dict.fromkeys(("kind", "time", "sentence"), str),
    **dict.fromkeys(("step", "epoch", "total", "steps_per_epoch", "alarm_step"), int),
    "tried": list,
}
# The events of a kind that are made into values again need all of these.
_NEEDED: dict[str, dict[str, type]] = {
    "finding": {
        **dict.fromkeys(("audit", "severity", "what", "cause", "advice", "command"), str),
        "evidence": dict,
    },
}
# Kinds whose values with a slash in their name are numbers, or words such as nan, and whose `best` is yes or no. Events
# of recipes may call a number so, as that of a stack does.
_MEASURED = ("step", "epoch", "score")


def events(path: Path, *kinds: str) -> Iterator[dict[str, Any]]:
    """Read a journal, all of it or some kinds. A line that a kill cut off is left out."""
    if not manifest.exists(path):
        return
    with manifest.opened(path) as lines:
        for line in lines:
            event = parsed(line)
            if event is not None and (not kinds or event["kind"] in kinds):
                yield event


def damaged(path: Path) -> list[int]:
    """Return the numbers of the lines, from 1, that are JSON but no event, which no kill leaves behind."""
    if not manifest.exists(path):
        return []
    with manifest.opened(path) as lines:
        return [number for number, line in enumerate(lines, 1) if _is_json(line) and parsed(line) is None]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def parsed(line: bytes) -> dict[str, Any] | None:
    """Read one line; None for one that is no event: cut off by a kill, or damaged."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and _is_sound(event) else None


def _is_sound(event: Mapping[str, Any]) -> bool:
    if not isinstance(event.get("kind"), str):
        return False
    needed = _NEEDED.get(event["kind"], {})
    is_measured = event["kind"] in _MEASURED
    known = {**_TYPES, **needed, **({"best": bool} if is_measured else {})}
    return needed.keys() <= event.keys() and all(
        _is_a(value, known[key]) if key in known else not (is_measured and "/" in key) or _is_number(value)
        for key, value in event.items()
    )


def _is_a(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and value >= 0
    return isinstance(value, kind)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def is_torn(path: Path) -> bool:
    """Say whether a kill cut off the last line, so that the next event needs a new one."""
    with path.open("rb") as journal:
        if journal.seek(0, os.SEEK_END) == 0:
            return False
        journal.seek(-1, os.SEEK_END)
        return journal.read(1) != b"\n"


def line_of(event: Mapping[str, Any]) -> str:
    """Write an event as one line. A number that is not finite becomes text: JSON has no word for it."""
    try:
        return json.dumps(event, allow_nan=False, default=str) + "\n"
    # Spelled only where it is needed: a walk through every event would cost each step.
    except ValueError:
        return json.dumps(_spelled(event), default=str) + "\n"


def _spelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
