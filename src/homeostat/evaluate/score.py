"""What is a score? A number with its interval, its sample, its split and the trivial predictor beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

MINIMUM_EVENTS = 10
"""With fewer positives (or negatives) a discrimination score is noise and is printed as "not estimable"."""


Better = Literal["higher", "lower", "neither"]
"""Of two values of a score. Neither: it has a right value, such as 1 for a calibration slope."""


@dataclass(frozen=True, kw_only=True)
class Score:
    name: str
    value: float | None
    """None = not estimable; `note` says why."""
    low: float | None = None
    high: float | None = None
    n: int
    """Rows with a known truth."""
    subjects: int
    """Independent units; the intervals resample these, not the rows."""
    events: int | None = None
    """Positives among the n rows; None for a regression."""
    method: str = ""
    """How the interval was made."""
    split: str
    trivial: float | None = None
    """The same score of the predictor that looks at nothing."""
    note: str = ""
    model: str = ""
    target: str = ""
    group: str = ""
    """Subgroup as "column=value"; empty for everybody."""
    unit: str = ""
    better: Better = "higher"
    level: float = 0.95

    @property
    def estimable(self) -> bool:
        return self.value is not None

    def as_dict(self) -> dict[str, Any]:
        """JSON has no infinity: such a bound becomes null."""
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Score:
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name} not estimable ({self.note})"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.name} {self.value:.3f}{interval}"


def too_few(positives: int, negatives: int) -> str:
    """The reason why a discrimination score cannot be estimated, or an empty string."""
    if positives < MINIMUM_EVENTS:
        return f"only {positives} positives, at least {MINIMUM_EVENTS} are needed"
    if negatives < MINIMUM_EVENTS:
        return f"only {negatives} negatives, at least {MINIMUM_EVENTS} are needed"
    return ""
