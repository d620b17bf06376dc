"""The smallest recipe: regression of a known curve on simulated data, with dropout and a remainder batch.

`python tests/curve.py train curve --data ...` is the command line with this recipe in it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from homeostat.cli import main
from homeostat.data.batches import Batches, Indices
from homeostat.data.blueprint import Blueprint
from homeostat.data.store import Store, Writer
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.evaluate import summary
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.methods import crossfit
from homeostat.methods.method import Lesson, Method, Plan
from homeostat.methods.network import network
from homeostat.methods.protocol import Roster, Wish, choose
from homeostat.recipes import RECIPES
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run
from homeostat.task.randomness import generator, seeded
from homeostat.task.task import Loss, Task

# Seconds that a step and an evaluation of one process last longer than they must; no result depends on them.
SLOW_STEP, SLOW_SCORE = "CURVE_STEP_S", "CURVE_SCORE_S"

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
    net: nn.Module | None = None,
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
        model=model() if net is None else net,
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
    seeds: int = 1
    """Networks whose mean is the prediction."""
    step_s: float = 0.0
    """Seconds that a step lasts longer than it must, so that a test can meet it."""
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


def blueprint(config: Config, data: Path) -> Blueprint:
    def write(writer: Writer) -> None:
        table = pl.read_csv(data / "curve.csv")
        writer.array("x", table.select("x0", "x1", "x2", "x3").to_numpy().astype(np.float32))
        writer.array("y", table.select("y").to_numpy().astype(np.float32))
        writer.array("part", np.array(table["part"].to_list()))

    return Blueprint(name="curve", raw=[data / "curve.csv"], code=[blueprint], parameters={}, write=write)


def ids_of(store: Store) -> list[str]:
    return [f"c{row}" for row in range(len(store["y"]))]


def some(store: Store, ids: Sequence[str]) -> Pairs:
    rows = [int(name.removeprefix("c")) for name in ids]
    x, y = (torch.from_numpy(np.array(store[name])[rows]) for name in "xy")
    return Pairs(torch.arange(len(x)), x, y)


def curve_task(config: Config, lesson: Lesson[Store]) -> Task[Pairs]:
    def slow_loss(network: nn.Module, batch: Pairs) -> Loss:
        time.sleep(float(os.environ.get(SLOW_STEP, config.step_s)))
        return squared_error(network, batch)

    learnt, judged = (some(lesson.data, lesson.splits.part(part)) for part in ("train", "valid"))

    def slow_score(scored: nn.Module) -> Mapping[str, float]:
        time.sleep(float(os.environ.get(SLOW_SCORE, 0.0)))
        return {"valid/mse": float(nn.functional.mse_loss(scored(judged.x), judged.y))}

    network = model(lesson.seed, config.hidden_dim)
    return make_task(network, slow_loss, slow_score, config.batch_size, learnt, judged)


def answer(network: nn.Module, store: Store, ids: Sequence[str]) -> np.ndarray:
    with torch.no_grad():
        return network(some(store, ids).x).numpy()


def curve(config: Config) -> Method[Store]:
    return network(
        "curve",
        task=lambda lesson: curve_task(config, lesson),
        settings=lambda lesson, task: replace(config.fit, seed=lesson.seed),
        answer=answer,
        blank=lambda run: model(0, config.hidden_dim),
    )


def table(store: Store, ids: Sequence[str], outputs: np.ndarray, part: Split) -> Predictions:
    return Predictions.build("regression", part, ids=ids, targets=some(store, ids).y, outputs=outputs)


def plan(config: Config, run: Run, store: Store) -> Plan[Store]:
    ids = ids_of(store)
    roster = Roster(
        ids=ids, groups=ids, parts=[str(part) for part in store["part"]], fingerprint=store.fingerprint
    )
    return Plan(
        data=store,
        protocol=choose(roster, Wish()),
        methods=(curve(config),),
        table=table,
        seed=config.fit.seed,
        seeds=config.seeds,
    )


def predict(config: Config, run: Run, store: Store) -> Predictions:
    return crossfit.predict(run, curve(config), store, ids_of(store), table)


def scores(folder: Path) -> Mapping[str, Any]:
    return summary.of_run(folder)


def inner(folder: Path) -> Run:
    """The only training of a run of this recipe."""
    return Run(folder).child("split.curve.0")


recipe = Recipe(
    name="curve",
    summary="Learn a curve.",
    config=Config,
    blueprint=blueprint,
    plan=plan,
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
