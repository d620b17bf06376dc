"""Fitted state besides weights: curves, scalers, trees, coefficients. Each is a sealed file in fitted/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeostat.errors import RunError
from homeostat.run import Run, sealed


def save(run: Run, name: str, value: Mapping[str, Any]) -> None:
    """Keep a plain value under a name; an earlier one of that name is replaced."""
    # JSON has no word for NaN, and a fitted value that is not finite is a fault of the fit.
    sealed.write(_file(run, name), json.dumps(value, allow_nan=False).encode())


def has(run: Run, name: str) -> bool:
    """Say whether a value of that name was kept."""
    return sealed.has(_file(run, name))


def load(run: Run, name: str) -> dict[str, Any]:
    """Read a value back; a changed, torn or missing file is an error that names it."""
    if not has(run, name):
        raise RunError(f"Run {run.name} holds no fitted {name!r}. Finish it with `homeostat resume`.")
    return sealed.read_json(_file(run, name))


def _file(run: Run, name: str) -> Path:
    return run.fitted / f"{name}.json"
