"""The cost of the engine per step: a plain PyTorch loop, `fit`, and Lightning's Trainer, in turn, in one process.

Every competitor trains the same network on the same batches with the same optimiser, clip and number of threads. A
round times all of them in turn; the figure is that of the fastest round of each, from the first loss to the last, so
that neither set-up nor a busy neighbour counts. `fit` keeps its journal, its guard, its status and its checkpoints on.

Rounds are seconds apart, and a machine is not equally fast for so long. So `fit` is also run with a step of the plain
loop before each of its batches; there it is charged with everything from its call to its return.

    python benchmarks/engine.py [--rounds 7] [--steps 1500]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import logging
import math
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from homeostat.data.batches import Batches
from homeostat.engine import stream
from homeostat.engine.fit import fit
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.guards.finite import Finite
from homeostat.run import create
from homeostat.task.task import Loss, Task

SIZE, INPUTS = 64, 64
Batch = dict[str, torch.Tensor]


class Clock:
    """Notes when each loss was computed."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        self.marks.append((time.perf_counter(), time.thread_time()))
        return nn.functional.mse_loss(network(batch["x"]), batch["y"])

    def step_us(self) -> tuple[float, float]:
        """Wall clock, and processor time of the training thread, which a busy neighbour does not lengthen."""
        (wall, busy), (wall_end, busy_end) = self.marks[0], self.marks[-1]
        steps = len(self.marks) - 1
        return (wall_end - wall) / steps * 1e6, (busy_end - busy) / steps * 1e6


def network(width: int) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(INPUTS, width), nn.Tanh()]
    for _ in range(3):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def data(steps: int) -> Batches[Batch]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(steps * SIZE, INPUTS, generator=generator)
    y = torch.randn(steps * SIZE, 1, generator=generator)

    def gather(rows: np.ndarray) -> Batch:
        chosen = torch.from_numpy(rows)
        return {"ids": chosen, "x": x[chosen], "y": y[chosen]}

    return Batches(count=steps * SIZE, size=SIZE, gather=gather)


def plain(model: nn.Module, batches: Batches[Batch], clock: Clock) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    order = batches.order(0)
    for start in range(0, len(order), SIZE):
        batch = batches.gather(order[start : start + SIZE])
        optimizer.zero_grad()
        loss = clock.loss(model, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


SETTINGS = Settings(
    epochs=1,
    optim=OptimConfig(learning_rate=1e-3, clip=1.0),
    schedule=ScheduleConfig(schedule="constant"),
    device="cpu",
)


def task_of(model: nn.Module, batches: Batches[Batch], clock: Clock) -> Task[Batch]:
    return Task(
        model=model,
        batches=batches,
        loss=lambda network, batch: Loss(clock.loss(network, batch)),
        score=lambda network: {"valid/none": 0.0},
        select="valid/none",
        direction="min",
    )


def homeostat(model: nn.Module, batches: Batches[Batch], clock: Clock) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fit(task_of(model, batches, clock), SETTINGS, create(Path(folder) / "run", {}), [Finite()])


class Turns:
    """A `gather` for `fit` that lets the plain loop take a step first, and keeps both accounts.

    So a busy machine is equally busy for both. `fit` is charged with everything else between its call and its return:
    the folder, the audits, the checkpoints and their thread, the evaluation, the end. Here and not in the loss, so
    that both gather behind the other's optimiser: the second of two gathers in a row finds its pages in the cache.
    """

    def __init__(self, plain_step: Callable[[], None], gather: Callable[[np.ndarray], Batch]) -> None:
        self._plain_step, self._gather = plain_step, gather
        self.plain: list[tuple[float, float]] = []
        self.fit: list[tuple[float, float]] = []
        self._left = _now()

    def gather(self, rows: np.ndarray) -> Batch:
        came = _now()
        self._plain_step()
        went = _now()
        self.fit.append(_between(self._left, came))
        self.plain.append(_between(came, went))
        self._left = went
        return self._gather(rows)

    def end(self) -> None:
        self.fit.append(_between(self._left, _now()))


def _now() -> tuple[float, float]:
    """Wall clock, and processor time of all threads."""
    return time.perf_counter(), time.process_time()


def _between(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    return (end[0] - start[0]) * 1e6, (end[1] - start[1]) * 1e6


def in_turn(width: int, batches: Batches[Batch], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """One whole run of `fit`, and a step of the plain loop before each batch that it gathers, audits included."""
    model, clock = network(width), Clock()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    order = batches.order(1)
    taken = itertools.count()

    def plain_step() -> None:
        start = next(taken) % steps * SIZE
        batch = batches.gather(order[start : start + SIZE])
        optimizer.zero_grad()
        clock.loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    trained = network(width)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        turns = Turns(plain_step, batches.gather)
        task = task_of(trained, replace(batches, gather=turns.gather), Clock())
        fit(task, SETTINGS, create(Path(folder) / "run", {}), [Finite()])
        turns.end()
    return np.array(turns.plain), np.array(turns.fit)


def lightning(model: nn.Module, batches: Batches[Batch], clock: Clock, dressed: bool) -> None:
    import lightning
    from lightning.pytorch.loggers import CSVLogger

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def training_step(self, batch: Batch, index: int) -> torch.Tensor:
            loss = clock.loss(self.network, batch)
            if dressed:
                self.log("train/loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-3, fused=True)

    class Gathered(torch.utils.data.IterableDataset):
        def __iter__(self):  # type: ignore[no-untyped-def]
            order = batches.order(0)
            return (batches.gather(order[start : start + SIZE]) for start in range(0, len(order), SIZE))

    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            gradient_clip_val=1.0,
            logger=CSVLogger(folder) if dressed else False,
            enable_checkpointing=dressed,
            enable_progress_bar=dressed,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(Module(), torch.utils.data.DataLoader(Gathered(), batch_size=None))


Competitor = Callable[[nn.Module, Batches[Batch], Clock], None]
COMPETITORS: dict[str, Competitor] = {
    "plain PyTorch loop": plain,
    "homeostat fit": homeostat,
    "Lightning Trainer, bare": lambda m, b, c: lightning(m, b, c, dressed=False),
    "Lightning Trainer, bar + CSV": lambda m, b, c: lightning(m, b, c, dressed=True),
}


def measure(run: Competitor, width: int, batches: Batches[Batch]) -> tuple[tuple[float, float], nn.Module]:
    clock, model = Clock(), network(width)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run(model, batches, clock)
    return clock.step_us(), model


def width_of_1_ms(batches: Batches[Batch]) -> int:
    """The narrowest network whose plain step takes a millisecond on this machine."""
    for width in range(32, 1025, 16):
        if min(measure(plain, width, batches)[0][1] for _ in range(3)) >= 1000:
            return width
    raise SystemExit("no width up to 1024 makes a step of 1 ms")


def tell_turns(width: int, batches: Batches[Batch], steps: int, rounds: int) -> None:
    """Print what whole runs of `fit` cost in turn with the plain loop, all rounds together."""
    stream.THREAD_PAYS_S = (
        math.inf
    )  # a gather that takes turns is no slow gather, for which a thread would be started
    found = [in_turn(width, batches, steps) for _ in range(rounds)]
    plain_us = np.concatenate([plain for plain, _ in found])
    fit_us = np.concatenate([spent for _, spent in found])
    print(
        f"\nplain loop and fit in turn, {rounds} whole runs of {steps} steps, us per step (wall clock, processor time):"
    )
    whole = fit_us.sum(axis=0) / (rounds * steps)  # a run gathers more often than it steps: its audits do
    rows = {
        "whole run": (plain_us.mean(axis=0), whole),
        "median step": (np.median(plain_us, axis=0), np.median(fit_us, axis=0)),
    }
    for name, (one, other) in rows.items():
        cells = [f"{a:6.0f} -> {b:6.0f} ({b / a - 1:+6.1%})" for a, b in zip(one, other, strict=True)]
        print(f"  {name:12} {cells[0]:>28} {cells[1]:>28}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # Lightning's advice about worker processes
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    width = width_of_1_ms(data(150))
    batches = data(options.steps)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMPETITORS}
    ends: dict[str, nn.Module] = {}
    for _ in range(options.rounds):
        for name, run in COMPETITORS.items():
            step_us, ends[name] = measure(run, width, batches)
            times[name].append(step_us)
    same = all(
        torch.equal(a, b)
        for a, b in zip(
            ends["plain PyTorch loop"].parameters(), ends["homeostat fit"].parameters(), strict=True
        )
    )
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, 1 thread, width {width}")
    print(
        f"{options.rounds} rounds of {options.steps} steps; fastest round of each, us per step (over the plain loop)\n"
    )
    print(f"{'':30} {'wall clock':>22} {'processor time':>22}")
    base = [min(column) for column in zip(*times["plain PyTorch loop"], strict=True)]
    for name, found in times.items():
        best = [min(column) for column in zip(*found, strict=True)]
        cells = [
            f"{mine:8.0f} ({mine / plain_us - 1:+8.1%})" for mine, plain_us in zip(best, base, strict=True)
        ]
        print(f"{name:30} {cells[0]:>22} {cells[1]:>22}")
    tell_turns(width, batches, options.steps, options.rounds)
    print(f"\nweights of fit equal those of the plain loop bit for bit: {same}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
