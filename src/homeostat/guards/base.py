"""A guard sees an Event of a run, and answers with an Alarm or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from homeostat.task.look import Look

Level = Literal["warn", "halt"]
Kind = Literal["start", "step", "score", "epoch", "end"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run, in plain numbers. docs/guards.md lists the names that guards know.

    A `step` comes before the optimiser acts on it where that costs nothing (CPU), and one step late where
    reading the device would stall it.
    """

    kind: Kind
    step: int
    """Optimiser steps taken before this one."""
    epoch: int
    loss: float = 0.0
    gradient_norm: float = 0.0
    """Before clipping."""
    learning_rate: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    """Parts of the loss; on `epoch`, their means over the epoch."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Whatever else was measured; on `start`, the plan: `steps`, `steps_per_epoch`, `clip`."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Only on `score`."""
    rows: Sequence[int] = ()
    """Row numbers of the batch, as `Batches` counts them; only on `step`."""
    seconds: float = 0.0
    """Duration of the step, evaluation or epoch, by a clock that never jumps."""
    waited: float = 0.0
    """The part of `seconds` spent waiting for data; only on `step`."""
    look: Look | None = None
    select: str = ""
    """The score that drives the run; on `start`, `score` and `end`."""
    direction: Literal["max", "min"] = "min"
    """Which way that score improves."""


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """A cure. `fit` applies it only when the run was started with --heal."""

    action: Literal[
        "rollback",
        "lower_lr",
        "skip_batch",
        "precision",
        "loosen_tolerance",
        "change_solver",
        "smaller_pieces",
        "extend",
        "stop",
    ]
    factor: float = 1.0
    region: str = ""

    def __str__(self) -> str:
        detail = self.region or (f"{self.factor:g}" if self.factor != 1.0 else "")
        return f"{self.action}({detail})" if detail else self.action


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A guard's finding about one event."""

    guard: str
    level: Level
    sentence: str
    """The fault, with the number, and what to do: it stands alone in the journal and on the terminal."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    remedy: Remedy | None = None


class AbstractGuard(ABC):
    """Watches events; never touches training. Its state is saved with the run, so a verdict survives a resume."""

    name: str
    """Key of the guard's state in a checkpoint and of its alarms in the journal."""

    @abstractmethod
    def watch(self, event: Event) -> Alarm | None:
        """Look at one event; answer only when something is wrong."""

    @staticmethod
    @abstractmethod
    def example() -> Iterator[Event]:
        """Yield a run that sickens at `guards.streams.ONSET`: the guard must speak then, and not before."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything that `watch` has learnt, as plain values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a saved guard."""
