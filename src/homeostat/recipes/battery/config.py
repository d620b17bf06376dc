"""The choices of the battery recipe, and its presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from homeostat.config import Amount, Bound, Count, check_bounds
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.errors import ConfigError
from homeostat.methods.protocol import Choice, Folds
from homeostat.ode import SOLVERS
from homeostat.recipes.battery.prepare import Preparation
from homeostat.recipes.battery.readers.tidy import Columns

Task = Literal["auto", "soh", "forecast", "cycle-life"]
SolverName = Literal["euler", "midpoint", "heun", "rk4", "bosh3", "dopri5", "tsit5", "dopri8"]
# Ten times the rounding error of float32, in which the latent state lives.
FINEST_RTOL = 1.2e-6


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The latent neural ODE."""

    network: str = ""
    """Address of a network of your own in the place of the latent ODE, such as ./my_net.py:Net (docs/battery.md)."""
    latent_dim: Count = 16
    """Size of the latent state of a cell."""
    hidden_dim: Count = 32
    """Width of the hidden layers of encoder, vector field and decoder."""
    solver: SolverName = "rk4"
    """How the state is carried from one observation to the next."""
    rtol: float | None = None
    """Relative tolerance of an adaptive solver (default 1e-4); a fixed-step solver has none."""
    atol: float | None = None
    """Absolute tolerance of an adaptive solver (default 1e-6); a fixed-step solver has none."""
    step_size: float | None = None
    """Longest step of a fixed-step solver, in scaled time (default 1); an adaptive solver chooses its own."""
    use_adjoint: bool = False
    """Gradient by solving backwards. Saves memory on long solves only; here it is several times slower."""

    def __post_init__(self) -> None:
        check_bounds(self)
        if SOLVERS[self.solver].is_adaptive:
            if self.step_size is not None:
                raise ConfigError(
                    f"step_size {self.step_size:g} would do nothing: {self.solver} chooses its own steps. "
                    "Drop --step-size, or take a fixed-step solver such as rk4."
                )
            if self.rtol is not None and self.rtol < FINEST_RTOL:
                raise ConfigError(
                    f"rtol {self.rtol:g} is below what float32 can carry ({FINEST_RTOL:g}): every step would be "
                    "rejected for rounding. Use --rtol 1e-5."
                )
        elif self.rtol is not None or self.atol is not None:
            raise ConfigError(
                f"rtol and atol would do nothing: {self.solver} takes fixed steps. Drop them and set --step-size, "
                "or take an adaptive solver such as dopri5."
            )


def settings(epochs: int) -> Settings:
    """One cycle of the learning rate over so many epochs."""
    return Settings(
        epochs=epochs,
        device="cpu",  # a state of 16 numbers stepped one observation at a time is no work for a GPU
        optim=OptimConfig(learning_rate=5e-3, clip=1.0),
        schedule=ScheduleConfig(schedule="one-cycle", warmup=0.3),
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Battery ageing: state of health along time, its forecast, and cycle life."""

    task: Task = "auto"
    """soh: health of unseen cells along time; forecast: from the first part of a cell's life to the rest;
    cycle-life: from the first 100 cycles. auto: cycle-life where the data have it, soh otherwise."""
    cells: tuple[str, ...] = ()
    """Cells that take part. Empty: B0005, B0006 and B0007 for soh on the NASA tables, every cell otherwise."""
    inputs: tuple[str, ...] = ()
    """Inputs of soh by name. Empty: slope and warming of the early discharge where there is a curve, all otherwise."""
    protocol: Choice = "auto"
    """official: the split of the data; leave-one-out: each cell (or group of cells cycled side by side) is tested in
    turn; folds: grouped k-fold; by-subject: cells are dealt once to train, valid and test. auto: for cycle-life
    official, otherwise leave-one-out up to 12 groups; by-subject where neither applies."""
    folds: Folds = 5
    """Folds (protocol folds)."""
    seen_shares: tuple[float, ...] = (0.3, 0.5)
    """forecast: shares of a cell's life after which the rest is forecast."""
    seeds: Count = 4
    """Networks per split, each in its own child run with its own start and draws; their mean is the prediction."""
    yardsticks: bool = True
    """Also train the LSTM with attention and the trees. The simple yard-sticks are always in the table."""
    batch_size: Count = 16
    """Windows in a step."""
    window_steps: Annotated[int, Bound(at_least=2, why=": one observation has no time")] = 16
    """Observations in a training window."""
    windows_per_epoch: Count = 640
    """Windows drawn in an epoch."""
    noise: Amount = 0.1
    """Noise added to inputs in training, as a share of their spread."""
    split_seed: int = 0
    """Deals the cells (protocols by-subject and folds)."""
    model: ModelConfig = field(default_factory=ModelConfig)
    data: Preparation = field(default_factory=Preparation)
    fit: Settings = field(default_factory=lambda: settings(epochs=5))

    def __post_init__(self) -> None:
        check_bounds(self)
        bad = [share for share in self.seen_shares if not 0 < share < 1]
        if bad or not self.seen_shares:
            raise ConfigError(f"seen_shares {self.seen_shares} must be shares of a life, between 0 and 1.")


def fast() -> Config:
    """A first look. The seed's `fast` also set rtol and atol, which euler never reads; it needs a step size."""
    return Config(model=ModelConfig(latent_dim=16, hidden_dim=32, solver="euler", step_size=0.25), seeds=1)


def balanced() -> Config:
    """A larger state for more cells. The seed's `balanced` set tolerances, which rk4 never reads."""
    return Config(model=ModelConfig(latent_dim=32, hidden_dim=64, solver="rk4", step_size=1.0))


def accurate() -> Config:
    """The seed's `accurate`, with the gradient through the steps: the adjoint pays on long solves only."""
    return Config(model=ModelConfig(latent_dim=64, hidden_dim=128, solver="dopri5", rtol=1e-5, atol=1e-6))


# The simulator names the unit of its time column.
_SIMULATED = Preparation(columns=Columns(time="time_days"))


def demo() -> Config:
    """Small enough for two minutes on two cores, simulation, yard-sticks and report included."""
    return Config(seeds=1, fit=settings(epochs=4), data=_SIMULATED)


def smoke() -> Config:
    """Everything once, within seconds."""
    return Config(
        seeds=1,
        batch_size=4,
        window_steps=6,
        windows_per_epoch=8,
        model=ModelConfig(latent_dim=4, hidden_dim=8),
        fit=settings(epochs=2),
        data=_SIMULATED,
    )


PRESETS = {"fast": fast, "balanced": balanced, "accurate": accurate, "demo": demo, "smoke": smoke}
