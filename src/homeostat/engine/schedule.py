"""The learning rate as a pure function of progress, so that a longer run is planned anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from homeostat.errors import ConfigError

Shape = Literal["constant", "cosine", "one-cycle", "plateau"]


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """The course of the learning rate."""

    schedule: Shape = "cosine"
    """constant, cosine (to the floor), one-cycle (warm-up, then cosine), plateau (drops when the score stalls)."""
    warmup: float = 0.0
    """Share of all steps over which the learning rate rises linearly from a 25th of its peak."""
    floor: float = 0.0
    """Smallest learning rate, as a share of the peak."""
    plateau_patience: int = 5
    """Evaluations without a better score before the learning rate drops (plateau only)."""
    plateau_factor: float = 0.5
    """Factor of each drop (plateau only)."""

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"warmup {self.warmup} must be a share of all steps: at least 0 and below 1.")
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor {self.floor} must be a share of the peak rate: between 0 and 1.")
        if self.schedule == "one-cycle" and self.warmup == 0:
            raise ConfigError("one-cycle needs a warm-up; set warmup, for example 0.3.")
        if self.plateau_patience < 1 or not 0 < self.plateau_factor < 1:
            raise ConfigError(
                f"plateau_patience {self.plateau_patience} must be at least 1 and "
                f"plateau_factor {self.plateau_factor} between 0 and 1."
            )


# Where a warm-up starts, as in Smith and Topin (2017), "Super-convergence": a 25th of the peak.
WARMUP_START = 1 / 25


def factor(config: ScheduleConfig, progress: float, drops: int = 0) -> float:
    """Return what multiplies the peak rate at `progress` in [0, 1], after `drops` plateaus."""
    if progress < config.warmup:
        return WARMUP_START + (1 - WARMUP_START) * progress / config.warmup
    after = min((progress - config.warmup) / (1 - config.warmup), 1.0)
    if config.schedule in ("cosine", "one-cycle"):
        # Half a cosine, without the restarts of Loshchilov and Hutter (2017), "SGDR".
        return config.floor + (1 - config.floor) * (1 + math.cos(math.pi * after)) / 2
    if config.schedule == "plateau":
        return max(config.floor, config.plateau_factor**drops)  # a function of the scores: nothing to save
    return 1.0


def better(score: float, best: float, direction: str) -> bool:
    """Say whether a score beats the best so far; a score that is not a number never does."""
    # A NaN that became the best score could never be beaten: every comparison with it is false.
    if math.isnan(score):
        return False
    return math.isnan(best) or (score > best if direction == "max" else score < best)


def stale(scores: Sequence[float], direction: str) -> int:
    """Count the evaluations since the best score."""
    best, since = math.nan, 0
    for score in scores:
        best, since = (score, 0) if better(score, best, direction) else (best, since + 1)
    return since


def drops(scores: Sequence[float], direction: str, patience: int) -> int:
    """Count the plateaus in a history of scores: `patience` evaluations in a row that beat nothing before."""
    best, since, count = math.nan, 0, 0
    for score in scores:
        best, since = (score, 0) if better(score, best, direction) else (best, since + 1)
        if since == patience:
            count, since = count + 1, 0
    return count
