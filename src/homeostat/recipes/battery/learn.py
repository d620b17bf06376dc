"""Networks learn from windows of tracks, and are judged on whole ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from homeostat.data.batches import Batches, Indices
from homeostat.data.ragged import Array
from homeostat.engine.device import move
from homeostat.evaluate.predictions import Split
from homeostat.methods.method import Average, Lesson, Method
from homeostat.methods.network import network as network_method
from homeostat.methods.seat import OWN
from homeostat.ode.solver import find_solver
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.model import NeuralODEModel
from homeostat.recipes.battery.scaled import LATENT_ODE, LSTM, Scale, Scaled, build
from homeostat.recipes.battery.track import Batch, Track, batch_of
from homeostat.recipes.battery.view import Outputs, View
from homeostat.task.randomness import address, seeded
from homeostat.task.task import Loss, Task

# Tracks that are scored in one go.
TOGETHER = 32
# The defaults of `odeint`, and a tolerance at which health is still right to a per cent.
RTOL, ATOL, LOOSEST = 1e-4, 1e-6, 1e-2


def main_kind(config: Config) -> str:
    """The kind of network that the run is about: ours, or one of the user's own."""
    return OWN if config.model.network else LATENT_ODE


def network(
    config: Config,
    kind: str,
    form: View,
    *,
    answer: Callable[[View, Sequence[str], Outputs], Array] = View.answer,
    average: Average = "outputs",
) -> Method[View]:
    """A network of this kind, for inputs as in `form`; `answer` brings its outputs into the rows of the table."""
    parts: tuple[Split, ...] = ("test",) if kind == LSTM else ("valid", "test")
    return network_method(
        kind,
        task=lambda lesson: make_task(config, kind, lesson),
        settings=lambda lesson, _: replace(config.fit, seed=lesson.seed),
        answer=lambda model, view, ids: answer(view, ids, lambda tracks: predict(model, tracks)),
        blank=lambda _: untrained(config, kind, form, seed=0),
        average=average,
        stream="",  # the kinds meet the same windows
        parts=parts,
    )


def untrained(config: Config, kind: str, view: View, seed: int) -> Scaled:
    """The network before its first step."""
    with seeded(seed, "model"):
        return build(kind, config.model, len(view.cells.names), relative=view.relative, reach=view.reach)


def scale_of(lesson: Lesson[View]) -> Scale:
    """Shift and scale, fitted on the training cells."""
    cells = lesson.data.cells
    return Scale(cells.of(lesson.splits.train), cells.names, relative=lesson.data.relative)


def make_task(config: Config, kind: str, lesson: Lesson[View]) -> Task[Batch]:
    """Windows of the training tracks, drawn anew in each epoch; judged on whole tracks.

    Where no cell can be spared for validation, nothing is chosen but the weights with the lowest training error.
    """
    view, scale = lesson.data, scale_of(lesson)
    model = untrained(config, kind, view, lesson.seed).fit_scale(scale)
    drawer = Drawer(view, view.cells.of(lesson.splits.train), scale, lesson.seed)
    part = "valid" if lesson.splits.valid else "train"
    judged = [track for tracks in view.shown(lesson.splits.part(part)) for track in tracks]

    def score(scored: nn.Module) -> Mapping[str, float]:
        return {f"{part}/rmse": rmse_per_cell(judged, predict(scored, judged))}

    return Task(
        model=model,
        batches=Batches(
            count=config.windows_per_epoch,
            size=config.batch_size,
            gather=drawer.gather,
            augment=drawer.augment,
            draw=drawer.draw,
            seed=lesson.seed,
        ),
        loss=loss,
        score=score,
        select=f"{part}/rmse",
        direction="min",
        islands=("network.field",) if isinstance(model.network, NeuralODEModel) else (),
        remedies=remedies(model.network) if isinstance(model.network, NeuralODEModel) else {},
    )


def remedies(network: NeuralODEModel) -> dict[str, Callable[[float], None]]:
    """Remedies that `--heal` may try on a field that becomes stiff, where the solver chooses its own steps."""
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

    view: View
    tracks: Sequence[Track]
    scale: Scale
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
        piece = self.view.draw(self.tracks[number % len(self.tracks)], random)
        spread = self.view.noise * np.asarray(self.scale.x_scale)
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


def predict(model: nn.Module, tracks: Sequence[Track]) -> list[Array]:
    """The output of the network for each track, (T,)."""
    assert isinstance(model, Scaled)
    outputs: list[Array] = []
    for start in range(0, len(tracks), TOGETHER):
        part = tracks[start : start + TOGETHER]
        batch = move(batch_of(part), model.y_scale.device)
        with torch.no_grad():
            output = model.eval()(batch).output.double()
        outputs += [row[: len(track)].cpu().numpy() for row, track in zip(output, part, strict=True)]
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
