"""The status of a run as a reader finds it. What is damaged in it is left out, so that other runs can be listed."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from homeostat.errors import RunError
from homeostat.run import manifest

# The types that the values have; those of other keys are shown as they are.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "state": str,
    "reason": str,
    "started": str,
    "heartbeat": str,
    "host": str,
    "pid": int,
    "step": int,
    "total": int,
    "exit_code": int,
    "eta_s": (int, float),
    "score": dict,
}
STATES = ("running", "done", "halted", "failed", "interrupted", "died")


def read(path: Path) -> dict[str, Any]:
    """Return the values of status.json that are what they should be; `state` is always among them."""
    if not manifest.exists(path):
        return {"state": "new"}
    try:
        plain = json.loads(manifest.content(path))
    except (RunError, ValueError, RecursionError) as error:
        return _damaged(path, str(error))
    if not isinstance(plain, dict) or plain.get("state") not in STATES:
        return _damaged(path, "it holds no state")
    return {key: value for key, value in plain.items() if _is_sound(key, value)}


def _damaged(path: Path, reason: str) -> dict[str, Any]:
    return {
        "state": "unknown",
        "reason": f"{path} is damaged ({reason}); the next start of the run writes it anew",
    }


def _is_sound(key: str, value: Any) -> bool:
    if key == "heartbeat":
        return _is_time(value)
    if key == "score":
        return isinstance(value, dict) and all(isinstance(each, int | float | str) for each in value.values())
    return value is None or key not in _KINDS or (isinstance(value, _KINDS[key]) and value is not True)


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False
