"""The choices of the intensive-care recipe, with values that train well on a few thousand stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from homeostat.config import Amount, Bound, Count, Share, check_bounds
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.errors import ConfigError
from homeostat.recipes.icu.prepare import Preparation

Network = Literal["latent-ode", "ode-rnn", "gru-d", "own"]
"""own: the network at the address in `network`."""
Member = Literal["latent-ode", "ode-rnn", "gru-d", "xgboost", "survival"]
Model = Literal["latent-ode", "ode-rnn", "gru-d", "xgboost", "survival", "stack"]
Kind = Model | Literal["own"]
OWN: Literal["own"] = "own"
NETWORKS: tuple[Network, ...] = ("latent-ode", "ode-rnn", "gru-d")
Protocol = Literal["auto", "official", "by-subject"]

SETTINGS = Settings(
    epochs=16,
    optim=OptimConfig(learning_rate=2e-3, weight_decay=0.1, clip=1.0, average=0.99),
    schedule=ScheduleConfig(schedule="one-cycle", warmup=0.2),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Mortality in intensive care from the first 48 hours."""

    model: Model = "latent-ode"
    """The model to train; stack trains all members out of fold and combines them."""
    network: str = ""
    """Address of a network of your own that takes the place of the model, such as ./my_net.py:Net (docs/icu.md)."""
    batch_size: Count = 128
    """Stays in a step."""
    latent_dim: Count = 32
    """Dimensions of the latent path."""
    hidden_dim: Count = 256
    """Width of the encoder (latent-ode); a quarter of it in the recurrent members."""
    ode_hidden_dim: Count = 64
    """Width of the vector field."""
    step_h: Annotated[float, Bound(above=0, at_most=48, unit=" hours")] = 6.0
    """Longest step of the solver, in hours. Fixed, so that rounding cannot change how a stay is stepped."""
    input_dropout: Share = 0.4
    """Share of the summary statistics that is hidden in a step."""
    dropout: Share = 0.5
    """Dropout inside the encoder."""
    head_dropout: Share = 0.2
    """Dropout of the reader of the path."""
    kl_weight: Amount = 0.01
    """Weight of the divergence of z(0) from a standard normal, after the warm-up."""
    kl_warmup_epochs: int = 2
    """Epochs over which that weight rises."""
    reconstruction_weight: Amount = 0.5
    """Weight of the reconstruction of observations, most of all of hidden ones."""
    auxiliary_weight: Amount = 0.5
    """Weight of the further outcomes: severity scores, length of stay, death within 3 to 1000 days."""
    hide: Share = 0.3
    """Share of observations hidden from the encoder in training."""
    hide_window: Share = 0.2
    """Probability that all observations within up to twelve hours are hidden."""
    pretrain_epochs: Annotated[int, Bound(at_least=0)] = 6
    """Epochs of reconstruction on stays without using any outcome, before training (latent-ode); 0 for none."""
    pretrain_on: Literal["train", "train+valid"] = "train+valid"
    """Stays of the pre-training. Their outcomes are not read; test stays are never used."""
    seeds: Count = 1
    """Networks, each with a seed of its own; the mean of their logits is the prediction. Trees are trained once."""
    members: tuple[Member, ...] = ("latent-ode", "xgboost", "survival")
    """Members of the stack; survival are trees that learn days until death."""
    folds: int = 5
    """Folds of the training stays by which the members of the stack predict out of fold."""
    recurrent_epochs: Count = 20
    """Epochs of ode-rnn and gru-d inside the stack."""
    yardsticks: bool = True
    """Also train xgboost on summary statistics, so that the score stands beside a yard-stick."""
    protocol: Protocol = "auto"
    """official: sets a, b and c of the challenge train, validate and test; by-subject: subjects are dealt to parts.
    auto: official where sets a and b are there, by-subject otherwise."""
    split_seed: int = 0
    """Deals subjects to parts where the data come without sets."""
    data: Preparation = field(default_factory=Preparation)
    fit: Settings = field(default_factory=lambda: SETTINGS)

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.network and self.model != "latent-ode":
            raise ConfigError(
                f"--network {self.network} takes the place of --model {self.model}. Give one of the two."
            )
        if self.model == "stack" and (len(set(self.members)) < 2 or self.folds < 2):
            raise ConfigError(
                f"A stack of {len(set(self.members))} different members and {self.folds} folds: at least 2 of each."
            )


def smoke() -> Config:
    """Seconds on the simulated cohort."""
    small = Config(
        latent_dim=8, hidden_dim=32, ode_hidden_dim=16, pretrain_epochs=1, folds=2, recurrent_epochs=1
    )
    return replace(small, batch_size=64, fit=replace(small.fit, epochs=2))


def demo() -> Config:
    """Half a minute on the simulated cohort."""
    fit = Config().fit
    # A hundred steps: an average over as many would still hold the untrained weights.
    fit = replace(fit, epochs=8, optim=replace(fit.optim, average=0.95))
    return replace(Config(hidden_dim=128, batch_size=64), fit=fit)


PRESETS: Mapping[str, Callable[[], Config]] = {"smoke": smoke, "demo": demo}
