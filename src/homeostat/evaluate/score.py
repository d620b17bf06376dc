"""A score is a number with its interval, its sample, its split, and the same number of the trivial predictor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

HEADLINE: Mapping[str, str] = {"binary": "auroc", "multilabel": "macro auroc", "regression": "rmse"}
"""The score that stands for a run, by the kind of its predictions."""
MINIMUM_EVENTS = 10
"""With fewer positives (or negatives) a discrimination score is noise and is printed as "not estimable"."""

Better = Literal["higher", "lower", "neither"]
"""The better of two values of a score; "neither" where one value is right, such as 1 for a calibration slope."""


@dataclass(frozen=True, kw_only=True)
class Score:
    name: str
    value: float | None
    """None is not estimable; `note` says why."""
    low: float | None = None
    high: float | None = None
    n: int
    """Rows with a known truth."""
    subjects: int
    """Independent units; the intervals resample these, not the rows."""
    events: int | None = None
    """Positives among the n rows; None for a regression."""
    method: str = ""
    """The method of the interval."""
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

    def as_dict(self) -> dict[str, Any]:
        """Return plain values. JSON has no infinity: such a bound becomes null."""
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
    """Say why a discrimination score cannot be estimated, or return an empty text."""
    if positives < MINIMUM_EVENTS:
        return f"only {positives} positives, at least {MINIMUM_EVENTS} are needed"
    if negatives < MINIMUM_EVENTS:
        return f"only {negatives} negatives, at least {MINIMUM_EVENTS} are needed"
    return ""
