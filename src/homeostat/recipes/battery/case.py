"""The first network of the first split, with its windows, loss and cells, for audits to try their laws on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from homeostat.audits.case import Case
from homeostat.audits.inputs import Inputs
from homeostat.audits.leakage import Contents
from homeostat.audits.masking import MaskedLoss
from homeostat.audits.normaliser import Normaliser
from homeostat.audits.padding import Padding
from homeostat.audits.provenance import Fitted
from homeostat.audits.start_loss import Prior
from homeostat.audits.tolerance import Solve
from homeostat.data.splits import PARTS
from homeostat.engine import checkup
from homeostat.methods.method import Lesson, Plan
from homeostat.ode.solver import find_solver
from homeostat.recipes.battery import learn
from homeostat.recipes.battery.config import Config, ModelConfig
from homeostat.recipes.battery.model import STEP_SIZE, Trace
from homeostat.recipes.battery.scaled import LATENT_ODE, Scale, Scaled
from homeostat.recipes.battery.track import Batch, Track
from homeostat.recipes.battery.view import View
from homeostat.run import Run


def case_of(config: Config, run: Run, plan: Plan[View]) -> Case:
    """The untrained latent ODE on the cells of the first split."""
    view, splits = plan.data, next(iter(plan.protocol.splits.values()))
    lesson = Lesson(data=view, splits=splits, seed=config.fit.seed)
    scale = learn.scale_of(lesson)
    kind = learn.main_kind(config)
    task = learn.make_task(config, kind, lesson)
    tracks = {track.cell: track for part in PARTS for track in view.cells.of(splits.part(part))}
    scaler = scale.scaler
    return checkup.case_of_recipe(
        f"battery {kind}",
        task,
        outputs,
        config=config,
        run=run,
        splits=splits,
        subjects={cell: cell for cell in tracks},
        values=(
            Inputs(("x", "t")),
            Padding(padded),
            MaskedLoss(entry_loss),
            Prior(loss=prior_loss(lesson, scale)),
            Contents(lambda cell: content(tracks[cell])),
            Normaliser(name=scaler.names[0], ids=scaler.ids, ids_digest=scaler.ids_digest),
            Fitted(name="scale of time and target", fitted_on="train"),
            *((solve(config.model),) if kind == LATENT_ODE else ()),
        ),
    )


def outputs(model: nn.Module, batch: Batch) -> Tensor:
    """(B, T), zero where a step is filler."""
    trace: Trace = model(batch)
    return torch.where(batch.valid, trace.output, 0.0)


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


class Constant(nn.Module):
    """A network whose output is given."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def trace(self, x: Tensor, t: Tensor, seen: Tensor, valid: Tensor) -> Trace:
        """The given output, without any solve."""
        none = torch.zeros(len(self.output))
        return Trace(output=self.output, solver_steps=none, evaluations=none)


def entry_loss(output: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """The recipe's own loss of these outputs (B, T), of which the masked-in steps are scored."""
    everywhere = torch.ones_like(mask)
    batch = Batch(
        ids=torch.arange(len(output)),
        x=output[..., None],
        t=torch.arange(output.shape[1]).expand(output.shape).float(),
        seen=everywhere,
        valid=everywhere,
        target=targets,
        scored=mask,
        base=torch.zeros(len(output)),
    )
    return learn.loss(Scaled(Constant(output), 1, relative=False), batch).total  # type: ignore[arg-type]  # it has `trace`


def prior_loss(lesson: Lesson[View], scale: Scale) -> float:
    """The loss of a model that predicts the training mean, or of a forecast that predicts the last value seen."""
    view, random = lesson.data, np.random.default_rng(0)
    losses = []
    for track in view.cells.of(lesson.splits.train):
        piece = view.draw(track, random)
        mean = piece.base if view.relative else scale.y_shift
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
