"""The usual value of a number: a running centre and spread that outliers move only a little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

# Observations before a baseline is believed. With fewer, the noise of the start counts as news.
WARM = 20
# Observations that it remembers; long enough to be calm, short enough to follow a loss that falls.
MEMORY = 40


@dataclass
class Baseline:
    """The centre of a number and its mean absolute deviation. Keeps only the first few numbers, for a start."""

    count: int = 0
    centre: float = 0.0
    spread: float = 0.0
    early: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Learn from one observation; far ones count as three spreads away (Huber 1964)."""
        self.count += 1
        if self.count <= WARM:
            self._begin(value)
            return
        # Without the small share of the centre, a baseline whose first numbers were equal could never follow.
        limit = 3 * self.spread + 1e-3 * abs(self.centre)
        error = max(-limit, min(limit, value - self.centre))
        rate = 1 / MEMORY
        self.centre += rate * error
        self.spread += rate * (abs(error) - self.spread)

    def _begin(self, value: float) -> None:
        """Medians: one poisoned batch among the first must not become the measure of what is usual."""
        self.early.append(value)
        if self.count == WARM:
            # As a running mean it learnt a poisoned row, and the guard spoke in the eighth epoch instead of the first
            # (log/guards.md).
            self.centre = median(self.early)
            # Of normal noise the mean absolute deviation is 1.18 times the median one.
            self.spread = 1.18 * median(abs(each - self.centre) for each in self.early)
            self.early = []

    @property
    def is_warm(self) -> bool:
        """Say whether enough was seen to compare with."""
        return self.count >= WARM

    def plain(self) -> dict[str, Any]:
        """Return a copy in plain values."""
        return {**vars(self), "early": list(self.early)}

    @staticmethod
    def of(plain: Mapping[str, Any]) -> Baseline:
        """Return the baseline of such a copy."""
        return Baseline(**{**plain, "early": list(plain["early"])})
