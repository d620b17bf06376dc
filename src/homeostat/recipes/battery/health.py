"""Task soh: the health of unseen cells along time, from what is known before each discharge is complete."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from homeostat import console
from homeostat.data.store import Store
from homeostat.engine.export import best_weights
from homeostat.errors import DataError
from homeostat.methods import outcome
from homeostat.methods.method import Method
from homeostat.methods.seat import OWN
from homeostat.recipes.battery import learn, yardsticks
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.inputs import NASA_CELLS, read_cells
from homeostat.recipes.battery.scaled import LATENT_ODE, LSTM
from homeostat.recipes.battery.track import Track
from homeostat.recipes.battery.view import Draw, View
from homeostat.run import Run

# Training cells themselves stay below 4.
FAR = 6.0


def read(config: Config, store: Store, is_new: bool) -> View:
    """The cells that take part, in windows; new ones as far as they have the inputs."""
    default = NASA_CELLS if store.meta["source"] == "nasa" else ()
    cells = read_cells(store, cells=config.cells or default, inputs=config.inputs)
    if not cells.names:
        raise DataError(
            f"Store {store.path.name} has no inputs beside {cells.target}, so an unseen cell's cannot be predicted. "
            "Use --task forecast."
        )
    tracks = tuple(track for track in cells.tracks if track.seen.any() or not is_new)
    if not tracks:
        raise DataError(f"No cell of {store.path.name} has the inputs {', '.join(cells.names)}.")
    return View(
        # Cells of one rig share their days, which are no input here; each cell is left out on its own.
        cells=replace(cells, tracks=tracks, groups=tuple(track.cell for track in tracks)),
        draw=window(config.window_steps),
        columns={cells.target: lambda track: track},
        reach=config.window_steps,
        noise=config.noise,
    )


def methods(config: Config, view: View) -> list[Method[View]]:
    """The latent ODE, the rules, and the yard-sticks that are trained."""
    trees = yardsticks.trees(lambda tracks: tracks, lambda track: track.inputs)
    return [
        learn.network(config, learn.main_kind(config), view),
        yardsticks.rule(yardsticks.LAST_VALUE, lambda train: yardsticks.carried),
        yardsticks.rule(yardsticks.LINEAR_FADE, yardsticks.fade_of_others),
        *([learn.network(config, LSTM, view), trees] if config.yardsticks else []),
    ]


def window(length: int) -> Draw:
    """Draw `length` consecutive steps; a shorter track is taken whole."""

    def draw(track: Track, random: np.random.Generator) -> Track:
        start = int(random.integers(max(1, len(track) - length + 1)))
        return track.take(np.arange(start, min(start + length, len(track))))

    return draw


def warn_of_foreign(run: Run, view: View) -> None:
    """Say which cells have steps that lie far outside of what was learnt from: another current, another climate."""
    trained = next(child for child in run.children() if outcome.method_of(child.name) in (LATENT_ODE, OWN))
    weights = best_weights(trained)
    shift, scale = (np.asarray(weights[name], np.float64) for name in ("x_shift", "x_scale"))
    for track in view.cells.tracks:
        far = np.nanmax(np.abs(track.inputs - shift) / scale, axis=1, initial=0.0) > FAR
        if far.any():
            console.warn(
                f"Cell {track.cell}: {far.sum()} of {len(track)} steps have an input more than {FAR:g} standard "
                "deviations from the training cells'. Its predictions are extrapolations; train with cells like it."
            )
