"""The smallest recipe: regression of a known curve on simulated data, with dropout and a remainder batch.

`python tests/curve.py train curve --data ...` is the command line with this recipe in it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from homeostat.cli import main
from homeostat.data.batches import Batches, Indices
from homeostat.data.blueprint import Blueprint
from homeostat.data.store import Explanation, Store, Writer
from homeostat.engine.export import best_weights
from homeostat.engine.fit import fit
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.engine.state import load_weights
from homeostat.guards.finite import Finite
from homeostat.recipes import RECIPES
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run
from homeostat.task.randomness import generator, seeded
from homeostat.task.task import Loss, Task

SETTINGS = Settings(
    epochs=6,
    seed=3,
    optim=OptimConfig(learning_rate=1e-2, clip=1.0),
    schedule=ScheduleConfig(schedule="cosine", warmup=0.1),
    journal_every=4,
    audits=False,  # losses of tests count their calls; tests/engine/test_checkup.py has it on
)


@dataclass(frozen=True)
class Pairs:
    ids: Tensor
    x: Tensor
    y: Tensor

    def at(self, rows: Indices) -> Pairs:
        chosen = torch.from_numpy(rows)
        return Pairs(self.ids[chosen], self.x[chosen], self.y[chosen])


def pairs(count: int = 70, seed: int = 0) -> Pairs:
    x = torch.randn(count, 4, generator=generator(seed, "x"))
    noise = 0.1 * torch.randn(count, 1, generator=generator(seed, "noise"))
    return Pairs(torch.arange(count), x, torch.sin(x.sum(1, keepdim=True)) + noise)


def model(seed: int = 0, hidden: int = 16, dropout: float = 0.1, norm: bool = False) -> nn.Module:
    with seeded(seed, "model"):
        middle = nn.BatchNorm1d(hidden) if norm else nn.Identity()
        return nn.Sequential(
            nn.Linear(4, hidden), middle, nn.Tanh(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )


def squared_error(network: nn.Module, batch: Pairs) -> Loss:
    error = nn.functional.mse_loss(network(batch.x), batch.y)
    return Loss(error, terms={"mse": error.detach()}, numbers={"rows": float(len(batch.ids))})


def make_task(
    network: nn.Module | None = None,
    loss: Callable[[nn.Module, Pairs], Loss] = squared_error,
    score: Callable[[nn.Module], Mapping[str, float]] | None = None,
    size: int = 16,
    train: Pairs | None = None,
    valid: Pairs | None = None,
) -> Task[Pairs]:
    learnt, judged = train or pairs(), valid or pairs(40, seed=1)

    def valid_mse(scored: nn.Module) -> Mapping[str, float]:
        return {"valid/mse": float(nn.functional.mse_loss(scored(judged.x), judged.y))}

    return Task(
        model=model() if network is None else network,
        batches=Batches(count=len(learnt.ids), size=size, gather=learnt.at, seed=7),
        loss=loss,
        score=score or valid_mse,
        select="valid/mse",
        direction="min",
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """A curve."""

    hidden_dim: int = 16
    """Width of the hidden layer."""
    batch_size: int = 16
    """Samples in a step."""
    step_s: float = 0.0
    """Seconds that a step lasts longer than it must, so that a test can meet it."""
    score_s: float = 0.0
    """The same for an evaluation."""
    fit: Settings = field(default_factory=lambda: SETTINGS)


def simulate(folder: Path, seed: int) -> None:
    both = [(pairs(70, seed), "train"), (pairs(40, seed + 1), "valid")]
    frames = [
        pl.DataFrame({f"x{i}": part.x[:, i].numpy() for i in range(4)}).with_columns(
            y=part.y[:, 0].numpy(), part=pl.lit(name)
        )
        for part, name in both
    ]
    pl.concat(frames).write_csv(folder / "curve.csv")


def plan(data: Path) -> Blueprint:
    def write(writer: Writer) -> None:
        table = pl.read_csv(data / "curve.csv")
        for part in ("train", "valid"):
            rows = table.filter(pl.col("part") == part)
            writer.array(f"{part}.x", rows.select("x0", "x1", "x2", "x3").to_numpy().astype(np.float32))
            writer.array(f"{part}.y", rows.select("y").to_numpy().astype(np.float32))

    return Blueprint(name="curve", raw=[data / "curve.csv"], code=[plan], parameters={}, write=write)


def prepare(config: Config, data: Path, stores: Path) -> Store:
    return plan(data).build(stores)


def explain(config: Config, data: Path, stores: Path) -> Explanation:
    return plan(data).explain(stores)


def part_of(store: Store, part: str) -> Pairs:
    x, y = (torch.from_numpy(np.array(store[f"{part}.{name}"])) for name in "xy")
    return Pairs(torch.arange(len(x)), x, y)


def train(config: Config, run: Run, store: Store) -> None:
    def slow_loss(network: nn.Module, batch: Pairs) -> Loss:
        time.sleep(config.step_s)
        return squared_error(network, batch)

    learnt, judged = part_of(store, "train"), part_of(store, "valid")
    network = model(config.fit.seed, config.hidden_dim)

    def slow_score(scored: nn.Module) -> Mapping[str, float]:
        time.sleep(config.score_s)
        return {"valid/mse": float(nn.functional.mse_loss(scored(judged.x), judged.y))}

    task = make_task(network, slow_loss, slow_score, config.batch_size, learnt, judged)
    state = fit(task, config.fit, run, [Finite()])
    write_predictions(state.best_model(), judged, run.predictions / "valid.parquet")


def write_predictions(network: nn.Module, judged: Pairs, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with torch.no_grad():
        output = network(judged.x)[:, 0].numpy()
    pl.DataFrame({"id": judged.ids.numpy(), "y": judged.y[:, 0].numpy(), "output": output}).write_parquet(
        path
    )


def predict(config: Config, run: Run, data: Path, out: Path) -> None:
    network = model(config.fit.seed, config.hidden_dim)
    load_weights(network, best_weights(run))
    table = pl.read_csv(data / "curve.csv")
    x = torch.from_numpy(table.select("x0", "x1", "x2", "x3").to_numpy().astype(np.float32))
    write_predictions(network.eval(), Pairs(torch.arange(len(x)), x, torch.zeros(len(x), 1)), out)


def scores(folder: Path) -> Mapping[str, Any]:
    table = pl.read_parquet(folder / "predictions" / "valid.parquet")
    mse = float(((table["y"] - table["output"]) ** 2).mean())  # type: ignore[operator, arg-type]
    score = {
        "name": "mse",
        "value": mse,
        "split": "valid",
        "n": len(table),
        "subjects": len(table),
        "model": "curve",
    }
    return {"headline": score, "scores": [score]}


recipe = Recipe(
    name="curve",
    summary="Learn a curve.",
    config=Config,
    prepare=prepare,
    explain=explain,
    train=train,
    predict=predict,
    scores=scores,
    simulate=simulate,
    presets={"smoke": Config},
)


def command_line() -> int:
    RECIPES["curve"] = lambda: recipe
    torch.set_num_threads(1)
    return main(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(command_line())
