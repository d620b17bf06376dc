"""How are networks fitted to tracks? Each member of an ensemble is one fit in one child run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from homeostat.data.batches import Batches, Indices
from homeostat.data.ragged import Array
from homeostat.data.splits import Splits
from homeostat.engine.device import move
from homeostat.engine.fit import fit
from homeostat.guards import every
from homeostat.ode.solver import find_solver
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.model import NeuralODEModel
from homeostat.recipes.battery.scaled import NETWORKS, Scale, Scaled
from homeostat.recipes.battery.track import Batch, Track, batch_of
from homeostat.run import Run
from homeostat.task.randomness import address, seeded
from homeostat.task.task import Loss, Task

# (track, random numbers of this sample) -> the piece of the track that is learnt from.
Draw = Callable[[Track, np.random.Generator], Track]

# Tracks that are scored in one go.
TOGETHER = 32
# Of `odeint`, and a tolerance at which health is still told to a per cent.
RTOL, ATOL, LOOSEST = 1e-4, 1e-6, 1e-2


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one fold is learnt from: its training tracks, how pieces are drawn from them, and what is judged."""

    train: Sequence[Track]
    valid: Sequence[Track]
    """Empty where no cell can be spared; then nothing is chosen but the last weights with the lowest train error."""
    names: Sequence[str]
    """Of the inputs."""
    draw: Draw
    relative: bool = False
    noise: float | None = None
    """Noise on inputs; None takes the setting of the run."""
    judged: Sequence[Track] = ()
    """What the train score is computed on where there is no validation; empty: the training tracks."""
    splits: Splits | None = None


def ensemble(config: Config, run: Run, fold: str, kind: str, lesson: Lesson) -> list[Scaled]:
    """Fit the members of one kind of network; those that are done already are only loaded."""
    scale = Scale(lesson.train, lesson.names, relative=lesson.relative)
    fitted = []
    for member in range(config.members):
        child = run.child(f"{fold}.{kind}.{member}")
        if lesson.splits is not None:
            lesson.splits.save(child.splits_file)
        seed = address(config.fit.seed, fold, member) % 2**31
        with seeded(seed, "model"):
            made = NETWORKS[kind](
                config.model, len(lesson.names), relative=lesson.relative, reach=config.window_steps
            )
        model = made.fit_scale(scale)
        task = make_task(config, model, lesson, scale, seed)

        state = fit(task, replace(config.fit, seed=seed), child, every())
        best = state.best_model()
        assert isinstance(best, Scaled)
        fitted.append(best)
    return fitted


def make_task(config: Config, model: Scaled, lesson: Lesson, scale: Scale, seed: int) -> Task[Batch]:
    """Windows of the training tracks, drawn anew in each epoch; judged on whole tracks."""
    drawer = Drawer(lesson, scale, config.noise if lesson.noise is None else lesson.noise, seed)
    judged, part = (lesson.valid, "valid") if lesson.valid else (lesson.judged or lesson.train, "train")

    def score(scored: nn.Module) -> Mapping[str, float]:
        assert isinstance(scored, Scaled)
        return {f"{part}/rmse": rmse_per_cell(judged, predict([scored], judged))}

    return Task(
        model=model,
        batches=Batches(
            count=config.windows_per_epoch,
            size=config.batch_size,
            gather=drawer.gather,
            augment=drawer.augment,
            draw=drawer.draw,
            seed=seed,
        ),
        loss=loss,
        score=score,
        select=f"{part}/rmse",
        direction="min",
        islands=("network.field",) if isinstance(model.network, NeuralODEModel) else (),
        remedies=remedies(model.network) if isinstance(model.network, NeuralODEModel) else {},
    )


def remedies(network: NeuralODEModel) -> dict[str, Callable[[float], None]]:
    """What `--heal` may do about a field that becomes stiff, where the solver chooses its own steps."""
    if not find_solver(network.solver).is_adaptive:
        return {}

    def loosen(factor: float) -> None:
        network.rtol = min(factor * (network.rtol or RTOL), LOOSEST)
        network.atol = min(factor * (network.atol or ATOL), LOOSEST)

    def exchange(factor: float) -> None:
        # Of the adaptive methods the one whose steps may be longest per evaluation where stability limits them:
        # 2.5 / 3 stages along the negative axis, against 3.3 / 6 of dopri5 and tsit5 (Hairer and Wanner 1996, IV.2).
        network.solver = "bosh3"

    return {"loosen_tolerance": loosen, "change_solver": exchange}


@dataclass(frozen=True)
class Drawer:
    """Sample `i` is a piece of track `i mod n`; which piece is a function of (seed, epoch, i)."""

    lesson: Lesson
    scale: Scale
    noise: float
    seed: int

    def gather(self, rows: Indices) -> Batch:
        """The pieces of epoch 0."""
        return self.draw(rows, 0)

    def augment(self, batch: Batch, epoch: int) -> Batch:
        """The pieces of this epoch for the same samples."""
        return self.draw(batch.ids.numpy(), epoch)

    def draw(self, rows: Indices, epoch: int) -> Batch:
        """The pieces of this epoch."""
        ids = rows.tolist()
        return batch_of([self._piece(number, epoch) for number in ids], ids)

    def _piece(self, number: int, epoch: int) -> Track:
        random = np.random.default_rng(address(self.seed, "piece", epoch, number))
        piece = self.lesson.draw(self.lesson.train[number % len(self.lesson.train)], random)
        spread = self.noise * np.asarray(self.scale.x_scale)
        return replace(piece, inputs=piece.inputs + spread * random.standard_normal(piece.inputs.shape))


def loss(model: nn.Module, batch: Batch) -> Loss:
    """Huber's loss in units of the target's spread: each track's own mean over its scored steps, then over tracks."""
    assert isinstance(model, Scaled)
    trace = model(batch)
    error = torch.where(batch.scored, (trace.output - batch.target) / model.y_scale, 0.0)
    square = nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none")
    per_track = square.sum(dim=1) / batch.scored.sum(dim=1).clamp(min=1)
    counts = batch.scored.any(dim=1)
    total = (per_track * counts).sum() / counts.sum().clamp(min=1)
    return Loss(
        total,
        terms={"huber": total.detach()},
        numbers={
            "ode_solver_steps": _mean(trace.solver_steps),
            "ode_evaluations": _mean(trace.evaluations),
            "padded": 1 - batch.valid.float().mean(),
        },
        count=counts.sum(),
    )


def predict(models: Sequence[Scaled], tracks: Sequence[Track]) -> list[Array]:
    """For each track the mean output of the models, (T,)."""
    outputs: list[Array] = []
    for start in range(0, len(tracks), TOGETHER):
        part = tracks[start : start + TOGETHER]
        batch = move(batch_of(part), models[0].y_scale.device)
        with torch.no_grad():
            mean = torch.stack([model.eval()(batch).output.double() for model in models]).mean(dim=0)
        outputs += [row[: len(track)].cpu().numpy() for row, track in zip(mean, part, strict=True)]
    return outputs


def rmse_per_cell(tracks: Sequence[Track], outputs: Sequence[Array]) -> float:
    """The mean over tracks of each track's root mean square error."""
    errors = [
        float(np.sqrt(np.mean((output - track.target)[track.scored] ** 2)))
        for track, output in zip(tracks, outputs, strict=True)
        if track.scored.any()
    ]
    return float(np.mean(errors))


def _mean(values: Tensor) -> Tensor:
    return values.detach().float().mean()
