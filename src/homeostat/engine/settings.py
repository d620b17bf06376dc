"""Every choice in the training of a task that changes the result, in one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homeostat.engine.device import DeviceName
from homeostat.engine.optim import OptimConfig
from homeostat.engine.precision import Wish
from homeostat.engine.saver import SaveConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of `fit`."""

    epochs: int = 10
    """Passes over the training data."""
    seed: int = 0
    """Dropout and noise of a step are a function of this and the step; the order of samples has its own seed."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    saving: SaveConfig = field(default_factory=SaveConfig)
    accumulate: int = 1
    """Pieces into which a batch is cut to fit into memory; the gradient stays that of the whole batch."""
    evaluate_every: int = 0
    """Steps between two evaluations; 0 evaluates at the end of each epoch."""
    patience: int = 0
    """Evaluations without a better score before training stops; 0 trains to the end."""
    journal_every: int = 50
    """Steps whose means make one line of the journal."""
    precision: Wish = "auto"
    """auto takes bf16 for linear and convolutional layers where a GPU has it and a probe agrees with fp32."""
    device: DeviceName = "auto"
    """Where to compute."""
    heal: bool = False
    """Apply the remedies of guards: go back to the last good state at a lower rate, put poisoned rows in quarantine,
    compute in fp32, extend or stop. At most eight in a run, all in the journal; without it they are advice only."""
    audits: bool = True
    """Try the cheap laws on model and data before the first step. What does not hold is reported; training goes on."""
    guard: tuple[str, ...] = ()
    """Address of a guard of your own that watches, too, such as ./my_guard.py:Guard. May be given several times."""
    audit: tuple[str, ...] = ()
    """Address of an audit of your own that is tried, too, such as ./my_audit.py:audit. May be given several times."""
    tensorboard: bool = False
    """Also write the journal as TensorBoard events."""

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "journal_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} must be at least 1.")
        for name in ("evaluate_every", "patience", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} {getattr(self, name)} must not be negative.")


# Settings that a resumed training may change: they say how long, where and how it is watched, not what is computed.
# The number of epochs has a file of its own, which keeps from which step on it holds.
FREE = (
    *("epochs", "evaluate_every", "saving", "device", "accumulate", "journal_every"),
    *("heal", "audits", "guard", "audit", "tensorboard"),
)


def lasting(plain: Any) -> Any:
    """Return the part of a plain configuration that one training keeps from its first step to its last."""
    if isinstance(plain, Mapping):
        return {key: lasting(value) for key, value in plain.items() if key not in FREE}
    return [lasting(value) for value in plain] if isinstance(plain, list | tuple) else plain
