"""The typical loss of an epoch: a mean that a few batches from another world hardly move.

A median would do, but it throws away that an epoch sees every sample once: its mean has no noise of sampling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

# Blocks of steps that are kept apart; beyond, neighbours are merged, so that an epoch of any length takes this much.
BLOCKS = 32
# Median deviations at which a block counts as no further away. Batches with rare positives reach five now and then.
FAR = 10.0


@dataclass
class Typical:
    """Means of blocks of equally many steps."""

    width: int = 1
    sums: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Take note of one step; of what is no number another guard speaks."""
        if not math.isfinite(value):
            return
        if not self.counts or self.counts[-1] >= self.width:
            self.sums.append(0.0)
            self.counts.append(0)
        self.sums[-1] += value
        self.counts[-1] += 1
        if len(self.counts) == BLOCKS and self.counts[-1] == self.width:
            self.sums = [a + b for a, b in zip(self.sums[::2], self.sums[1::2], strict=True)]
            self.counts = [2 * self.width] * (BLOCKS // 2)
            self.width *= 2

    def take(self) -> float | None:
        """Return the typical mean and start anew; None if there was nothing."""
        means, counts = [total / n for total, n in zip(self.sums, self.counts, strict=True)], self.counts
        self.width, self.sums, self.counts = 1, [], []
        if not means:
            return None
        centre = median(means)
        limit = FAR * (median(abs(mean - centre) for mean in means) + 1e-3 * abs(centre))
        # A poisoned row lifts its block without end: in the plain mean it looked like labels that cannot be learnt
        # (log/guards.md).
        near = [min(max(mean, centre - limit), centre + limit) for mean in means]
        return sum(mean * n for mean, n in zip(near, counts, strict=True)) / sum(counts)

    def plain(self) -> dict[str, Any]:
        """Return a copy in plain values."""
        return {"width": self.width, "sums": list(self.sums), "counts": list(self.counts)}

    @staticmethod
    def of(plain: Mapping[str, Any]) -> Typical:
        """Return the sums of such a copy."""
        return Typical(width=plain["width"], sums=list(plain["sums"]), counts=list(plain["counts"]))
