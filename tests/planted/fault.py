"""A planted fault: a small system that is sound or ill by one switch, and the name of its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeostat.audits.case import Case
from homeostat.engine.settings import Settings
from homeostat.task.task import Task


@dataclass(frozen=True, kw_only=True)
class Session:
    """A task to be fitted, and the step from which it is ill."""

    task: Task[Any]
    settings: Settings
    onset: int = 0


@dataclass(frozen=True, kw_only=True)
class Law:
    """A fault that an audit finds without training. `make(seed, is_ill, folder)`."""

    name: str
    guide: str
    """Which of the five training guides had it; empty if none."""
    causes: tuple[str, ...]
    """Audits whose word for it is right."""
    make: Callable[[int, bool, Path], Case]


@dataclass(frozen=True, kw_only=True)
class Course:
    """A fault that shows in the course of a run. `make(seed, is_ill)`."""

    name: str
    guide: str
    causes: tuple[str, ...]
    """Guards whose word for it is right."""
    make: Callable[[int, bool], Session]
    heals: bool = False
    """Whether a remedy exists that `--heal` may apply."""
