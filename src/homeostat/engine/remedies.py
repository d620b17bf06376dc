"""Remedies that were applied under --heal: frozen values in the State, of which rates, ends and rows are functions.

The plan reads rates and ends from them, the stream reads which rows are in quarantine. Nothing else remembers them,
so a healed run is killed, resumed and replayed bit for bit like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from homeostat.data.batches import Indices
from homeostat.guards.base import Alarm, Event

# Bounds of remedies in a run, and of one kind. More would hide a fault that somebody should look at.
MOST, MOST_OF_A_KIND = 8, 3
# What only the task itself can do, by a function in `Task.remedies`.
BY_TASK = ("loosen_tolerance", "change_solver")


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """One remedy that was applied."""

    action: str
    guard: str
    """The guard that raised the alarm."""
    step: int
    """Step of the alarm."""
    rows: tuple[int, ...] = ()
    """Rows that went into quarantine."""
    rate: float = 1.0
    """Multiplies the learning rate from here on."""
    factor: float = 1.0
    """How many times the tolerance, or the epochs."""
    region: str = ""
    """Part of the model that computes in fp32; empty for all of it."""
    to: int
    """Step from which training went on."""

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for checkpoint and journal."""
        return {**vars(self), "rows": list(self.rows)}

    @staticmethod
    def read(plain: Mapping[str, Any]) -> Treatment:
        """Return what `plain` wrote down."""
        return Treatment(**{**plain, "rows": tuple(plain["rows"])})


class Sick(Exception):
    """An alarm whose remedy may be applied; raised where it was heard, caught by `fit`, which applies it."""

    def __init__(self, alarm: Alarm, event: Event) -> None:
        super().__init__(alarm.sentence)
        self.alarm, self.event = alarm, event


def curable(alarms: Sequence[Alarm], treatments: Sequence[Treatment], known: Sequence[str]) -> Alarm | None:
    """Return the gravest alarm whose remedy can be applied once more; `known` are the remedies of the task."""
    # The gravest first: the others may be what it causes.
    for alarm in sorted(alarms, key=lambda alarm: alarm.level != "halt"):
        if alarm.remedy is None or len(treatments) >= MOST:
            continue
        action = alarm.remedy.action
        used = sum(treatment.action == action for treatment in treatments)
        if used < MOST_OF_A_KIND and (action not in BY_TASK or action in known):
            return alarm
    return None


def rate_factor(treatments: Sequence[Treatment]) -> float:
    """Return what multiplies the learning rate."""
    return math.prod(treatment.rate for treatment in treatments)


def is_stopped(treatments: Sequence[Treatment]) -> bool:
    """Say whether training was ended."""
    return any(treatment.action == "stop" for treatment in treatments)


def epochs(planned: int, treatments: Sequence[Treatment]) -> int:
    """Return the number of epochs after all extensions."""
    return int(planned * math.prod(each.factor for each in treatments if each.action == "extend"))


def quarantined(rows: Indices, treatments: Sequence[Treatment], count: int) -> Indices:
    """Return the rows of a batch that may be learnt from; as many others where that is none of them."""
    bad = [row for treatment in treatments for row in treatment.rows]
    if not bad:
        return rows
    left = rows[~np.isin(rows, bad)]
    return left if len(left) else np.setdiff1d(np.arange(count, dtype=np.int64), bad)[: len(rows)]
