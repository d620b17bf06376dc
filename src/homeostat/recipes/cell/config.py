"""The choices of the cell recipe, with values that train well on some thousand volumes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from homeostat.config import Bound, Count, Share, check_bounds
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.methods.protocol import Choice, Folds
from homeostat.recipes.cell.augment import AugmentConfig
from homeostat.recipes.cell.model import NetworkConfig
from homeostat.recipes.cell.prepare import Preparation

Light = Literal["decay", "photons", "decay+photons"]

SETTINGS = Settings(
    epochs=30,
    optim=OptimConfig(learning_rate=3e-3, weight_decay=0.05, clip=1.0, average=0.98),
    schedule=ScheduleConfig(schedule="one-cycle", warmup=0.2),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Volumes into two classes: cells by their fluorescence decay, organs by their shape."""

    protocol: Choice = "auto"
    """official: the split of the data; leave-one-out: each donor is tested by a model that never saw it; folds:
    grouped k-fold; by-subject: donors are dealt once. auto: official where there is one, leave-one-out from 3 to
    12 donors, folds otherwise."""
    held_out: tuple[str, ...] = ()
    """leave-one-out: only these donors are tested. Empty: each in turn, because one donor can be a lucky one."""
    folds: Folds = 5
    """Folds (protocol folds)."""
    seeds: Count = 3
    """Networks per split, each in its own child run; their mean probability is the prediction."""
    batch_size: Count = 32
    """Volumes in a step."""
    balance: bool = False
    """Show both classes equally often. The prior of training is then one half; predictions are corrected from it."""
    expected_prior: Annotated[float | None, Bound(above=0, below=1)] = None
    """Share of yes where the predictions are used; they are moved to it from the prior of training. Empty: one half
    for leave-one-out, whose donors differ in it; otherwise the share in the training part, balanced or not."""
    label_smoothing: Share = 0.0
    """Targets y (1 - a) + a / 2 in training; scores and the journaled cross-entropy are never smoothed."""
    weights: Literal["last", "best"] = "last"
    """last: weights at the end of the schedule; best: of the evaluation with the highest validation AUROC, which on
    a hundred volumes chooses by chance."""
    views: Count = 8
    """Symmetric views whose mean probability is predicted; 1 looks once."""
    light: Light = "decay"
    """The form in which photon counts are seen: relative to the cell's own brightness, their logarithm, or both."""
    yardsticks: bool = True
    """Also score a logistic regression on a few plain measures of the volumes."""
    split_seed: int = 0
    """Deals groups to folds and validation."""
    model: NetworkConfig = field(default_factory=NetworkConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    data: Preparation = field(default_factory=Preparation)
    fit: Settings = field(default_factory=lambda: SETTINGS)

    def __post_init__(self) -> None:
        check_bounds(self)


def seed_config() -> Config:
    """The seed's network and schedule, as far as they can be told: Adam with L2, no average, absolute counts too."""
    return Config(
        balance=True,
        label_smoothing=0.05,
        light="photons",
        batch_size=64,
        weights="best",
        views=4,
        seeds=1,
        model=NetworkConfig(network="time", channel_dropout=0.3, zero_last_norm=False),
        augment=AugmentConfig(rotation_deg=0.0, zoom=0.15, mixup=0.4),
        fit=Settings(
            epochs=75,
            optim=OptimConfig(optimizer="adam", learning_rate=1e-4, weight_decay=1e-3, clip=35.0),
            schedule=ScheduleConfig(schedule="cosine"),
        ),
    )


def demo() -> Config:
    """A few minutes on the simulated donors."""
    config = Config(seeds=1, data=Preparation(side=15, time_bins=32), model=NetworkConfig(network="tiny"))
    return replace(config, batch_size=16, fit=replace(SETTINGS, epochs=16))


def smoke() -> Config:
    """Everything once, within seconds."""
    config = replace(demo(), data=Preparation(side=8, time_bins=16), held_out=("D1", "D5"), views=2)
    return replace(config, batch_size=32, fit=replace(SETTINGS, epochs=2))


PRESETS = {"seed": seed_config, "demo": demo, "smoke": smoke}
