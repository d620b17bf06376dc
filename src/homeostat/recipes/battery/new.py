"""What does a trained run say about new cells?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from homeostat import console
from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.engine.export import best_weights
from homeostat.engine.state import load_weights
from homeostat.errors import DataError, RunError
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import Predictions
from homeostat.files import read_json
from homeostat.recipes.battery import dq, forecast, health, life
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.learn import predict as mean_output
from homeostat.recipes.battery.line import load, mean_life
from homeostat.recipes.battery.prepare import prepare
from homeostat.recipes.battery.scaled import LATENT_ODE, Scaled, latent_ode
from homeostat.recipes.battery.table import Rows, to_predictions
from homeostat.recipes.battery.track import Track
from homeostat.run import Run

# Training cells themselves stay below 4.
FAR = 6.0


def predict(config: Config, run: Run, data: Path, out: Path) -> None:
    """The mean of all folds and members, written as one prediction file of split "new"."""
    store = prepare(data, Path(str(run.config()["stores"])), config.preparation, needs_target=False)
    config = replace(config, inputs=tuple(read_json(run.environment_file).get("inputs", config.inputs)))
    if (run.export / life.MODEL_FILE).exists():
        made = _lives(run, store)
    elif config.task == "forecast":
        made = _forecasts(config, run, store)
    else:
        made = _healths(config, run, store)
    predictions.write(made, out)


def models_of(config: Config, run: Run, inputs: int, *, relative: bool) -> list[Scaled]:
    """Every latent ODE of the run."""
    children = [child for child in run.children() if f".{LATENT_ODE}." in child.name]
    if not children:
        raise RunError(
            f"Run {run.name} has no trained model. Finish it with `homeostat resume {run.folder}`."
        )
    models = []
    for child in children:
        model = latent_ode(config.model, inputs, relative=relative)
        load_weights(model, best_weights(child))
        models.append(model.eval())
    return models


def _healths(config: Config, run: Run, store: Store) -> Predictions:
    known = {str(cell) for cell in store["cell"]}
    asked = tuple(cell for cell in config.cells if cell in known)
    cells = health.read(replace(config, cells=asked or tuple(sorted(known))), store)
    usable = [track for track in cells.tracks if track.seen.any()]
    if not usable:
        raise DataError(f"No cell of {store.path.name} has the inputs {', '.join(cells.names)}.")
    models = models_of(config, run, len(cells.names), relative=False)
    warn_of_foreign(models, usable)
    rows = Rows(usable, mean_output(models, usable))
    return to_predictions(rows, LATENT_ODE, "new", target=cells.target, time_unit=cells.unit)


def warn_of_foreign(models: Sequence[Scaled], tracks: Sequence[Track]) -> None:
    """Say which cells have steps that lie far outside of what was learnt from: another current, another climate."""
    shift, scale = (np.asarray(part.cpu(), np.float64) for part in (models[0].x_shift, models[0].x_scale))
    for track in tracks:
        far = np.nanmax(np.abs(track.inputs - shift) / scale, axis=1, initial=0.0) > FAR
        if far.any():
            console.warn(
                f"Cell {track.cell}: {far.sum()} of {len(track)} steps have an input more than {FAR:g} standard "
                "deviations from the training cells'. Its predictions are extrapolations; train with cells like it."
            )


def _forecasts(config: Config, run: Run, store: Store) -> Predictions:
    """From what is known of each cell to those of its steps that have no target yet."""
    cells = forecast.read(config, store, open_ended=True)
    tracks = [forecast.from_now(track) for track in cells.tracks]
    models = models_of(config, run, len(cells.names), relative=True)
    outputs = mean_output(models, tracks)
    ahead: list[tuple[Track, Array]] = [
        (track.take(np.flatnonzero(~track.seen)), output[~track.seen])
        for track, output in zip(tracks, outputs, strict=True)
    ]
    rows = Rows([track for track, _ in ahead], [output for _, output in ahead])
    return to_predictions(rows, LATENT_ODE, "new", target=cells.target, time_unit=cells.unit)


def _lives(run: Run, store: Store) -> Predictions:
    values = mean_life(load(run.export / life.MODEL_FILE), dq.features(store))
    return Predictions.build(
        "regression",
        "new",
        ids=[str(cell) for cell in store["cell"]],
        targets=np.asarray(store["cycle_life"], np.float64),
        outputs=values,
        names=("cycle life",),
        model=life.DISCHARGE_CURVE,
        unit="cycles",
    )
