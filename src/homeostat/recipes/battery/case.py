"""The first network of the first fold with its windows, loss and cells, for audits to try their laws on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from homeostat.audits.case import Case
from homeostat.audits.given import Configuration, Folder, Splitting, Trial
from homeostat.audits.inputs import Inputs
from homeostat.audits.leakage import Contents
from homeostat.audits.masking import MaskedLoss
from homeostat.audits.normaliser import Normaliser
from homeostat.audits.padding import Padding
from homeostat.audits.provenance import Fitted
from homeostat.audits.selection import Selection
from homeostat.audits.start_loss import Prior
from homeostat.audits.tolerance import Solve
from homeostat.config import to_plain
from homeostat.data.splits import Splits
from homeostat.data.store import Store
from homeostat.engine import checkup
from homeostat.ode.solver import find_solver
from homeostat.recipes.battery import forecast, health, learn, life
from homeostat.recipes.battery.config import Config, ModelConfig
from homeostat.recipes.battery.folds import folds_of
from homeostat.recipes.battery.learn import Lesson
from homeostat.recipes.battery.model import STEP_SIZE, Trace
from homeostat.recipes.battery.scaled import LATENT_ODE, NETWORKS, Scale, Scaled
from homeostat.recipes.battery.track import Batch, Track
from homeostat.run import Run
from homeostat.task.randomness import seeded


def case(config: Config, run: Run, store: Store) -> Case:
    """The untrained latent ODE of the task that these data ask for."""
    is_life = config.task == "cycle-life" or (config.task == "auto" and life.has_lives(store))
    lesson = _lives(config, store) if is_life else _fold(config, store)
    splits = lesson.splits
    assert splits is not None
    scale = Scale(lesson.train, lesson.names, relative=lesson.relative)
    with seeded(config.fit.seed, "model"):
        network = NETWORKS[LATENT_ODE](
            config.model, len(lesson.names), relative=lesson.relative, reach=config.window_steps
        )
    task = learn.make_task(config, network.fit_scale(scale), lesson, scale, config.fit.seed)
    tracks = {track.cell: track for track in (*lesson.train, *lesson.valid, *_tested(config, store, splits))}
    scaler, batches = scale.scaler, task.batches
    trial = Trial(
        model=task.model, batch=batches.gather, count=batches.count, loss=task.loss, predict=outputs
    )
    return Case(
        "battery latent-ode",
        (
            trial,
            Inputs(("x", "t")),
            Padding(padded),
            *checkup.augmentation_of(task),
            MaskedLoss(entry_loss),
            Prior(loss=prior_loss(lesson, scale)),
            Splitting(splits=splits, subjects={cell: cell for cell in tracks}),
            Contents(lambda cell: content(tracks[cell])),
            Normaliser(name=scaler.names[0], ids=scaler.ids, ids_digest=scaler.ids_digest),
            Fitted(name="scale of time and target", fitted_on="train"),
            Configuration(to_plain(config)),
            solve(config.model),
            Selection(task.select),
            checkup.put_aside(task, config.fit),
            Folder(run),
        ),
    )


def _fold(config: Config, store: Store) -> Lesson:
    """The first fold of the state of health, or of its forecast."""
    reads = forecast if config.task == "forecast" else health
    cells = reads.read(config, store)
    groups = cells.groups if config.task == "forecast" else cells.cells
    splits = next(iter(folds_of(config, cells, store.fingerprint, groups=groups).values()))
    if config.task == "forecast":
        return forecast.lesson_of(cells, splits, config.seen_shares)
    return health.lesson_of(config, cells, splits)


def _lives(config: Config, store: Store) -> Lesson:
    """The cycles of the training cells, whose last step holds the life."""
    splits = life.split_of(store, config)
    known = {track.cell: track for track in life.series(store)}
    return Lesson(
        train=[known[cell] for cell in splits.train],
        valid=[known[cell] for cell in splits.valid],
        names=life.SERIES,
        draw=lambda track, _: track,
        splits=splits,
    )


def _tested(config: Config, store: Store, splits: Splits) -> list[Track]:
    if config.task == "cycle-life" or (config.task == "auto" and life.has_lives(store)):
        return [track for track in life.series(store) if track.cell in splits.test]
    cells = forecast.read(config, store) if config.task == "forecast" else health.read(config, store)
    return cells.of(splits.test)


def outputs(model: nn.Module, batch: Batch) -> Tensor:
    """(B, T), zero where a step is filler."""
    told: Trace = model(batch)
    return torch.where(batch.valid, told.output, 0.0)


def padded(batch: Batch, more: int) -> Batch:
    """The same tracks with `more` steps of filler, which may hold anything."""

    def longer(value: Tensor, filler: float) -> Tensor:
        shape = (value.shape[0], more, *value.shape[2:])
        return torch.cat([value, torch.full(shape, filler, dtype=value.dtype)], dim=1)

    return replace(
        batch,
        x=longer(batch.x, 7.0),
        t=torch.cat([batch.t, batch.t[:, -1:].expand(-1, more)], dim=1),
        seen=longer(batch.seen, False),
        valid=longer(batch.valid, False),
        target=longer(batch.target, 7.0),
        scored=longer(batch.scored, False),
    )


class Told(nn.Module):
    """A network that says what it was told to say."""

    def __init__(self, said: Tensor) -> None:
        super().__init__()
        self.said = said

    def trace(self, x: Tensor, t: Tensor, seen: Tensor, valid: Tensor) -> Trace:
        none = torch.zeros(len(self.said))
        return Trace(output=self.said, solver_steps=none, evaluations=none)


def entry_loss(said: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """The recipe's own loss of these outputs (B, T), of which the masked-in steps are scored."""
    everywhere = torch.ones_like(mask)
    batch = Batch(
        ids=torch.arange(len(said)),
        x=said[..., None],
        t=torch.arange(said.shape[1]).expand(said.shape).float(),
        seen=everywhere,
        valid=everywhere,
        target=targets,
        scored=mask,
        base=torch.zeros(len(said)),
    )
    return learn.loss(Scaled(Told(said), 1, relative=False), batch).total  # type: ignore[arg-type]  # it has `trace`


def prior_loss(lesson: Lesson, scale: Scale) -> float:
    """The loss of a model that says the training mean, or of a forecast that says the last value seen."""
    random = np.random.default_rng(0)
    pieces = [lesson.draw(track, random) for track in lesson.train]
    losses = []
    for piece in pieces:
        mean = piece.base if lesson.relative else scale.y_shift
        error = torch.from_numpy((piece.target[piece.scored] - mean) / scale.y_scale)
        if len(error):
            losses.append(float(nn.functional.huber_loss(error, torch.zeros_like(error))))
    return float(np.mean(losses))


def content(track: Track) -> bytes:
    """Everything that is measured of a cell, without its name."""
    parts = (track.time, track.inputs, track.target)
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def solve(model: ModelConfig) -> Solve:
    """How the field is solved: time is scaled so that the longest record is ten units."""
    is_adaptive = find_solver(model.solver).is_adaptive
    step = None if is_adaptive else STEP_SIZE if model.step_size is None else model.step_size
    return Solve(
        name="ageing", adaptive=is_adaptive, rtol=model.rtol, atol=model.atol, step_size=step, span=10.0
    )
