"""Task soh: the health of unseen cells along time, from what is known before each discharge is complete."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.splits import Splits
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.evaluate.predictions import Split
from homeostat.recipes.battery import table, yardsticks
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.folds import folds_of
from homeostat.recipes.battery.inputs import NASA_CELLS, Cells, read_cells
from homeostat.recipes.battery.learn import Draw, Lesson, ensemble, predict
from homeostat.recipes.battery.scaled import LATENT_ODE, LSTM
from homeostat.recipes.battery.track import Track
from homeostat.run import Run


def read(config: Config, store: Store) -> Cells:
    """The cells that take part."""
    default = NASA_CELLS if store.meta["source"] == "nasa" else ()
    cells = read_cells(store, cells=config.cells or default, inputs=config.inputs)
    if not cells.names:
        raise DataError(
            f"Store {store.path.name} has no inputs beside {cells.target}, so an unseen cell's cannot be told. "
            "Use --task forecast."
        )
    return cells


def train(config: Config, run: Run, store: Store) -> None:
    """Fit each fold, predict its unseen cells, and write predictions and splits."""
    cells = read(config, store)
    run.environment(
        inputs=list(cells.names)
    )  # new data may hold more columns, and no target to tell a disguise by
    # Cells of one rig share their days, which are no input here; each cell is left out on its own.
    folds = folds_of(config, cells, store.fingerprint, groups=cells.cells)
    if len(folds) == 1:
        next(iter(folds.values())).save(run.splits_file)
    rows: table.Table = {}
    for name, splits in folds.items():
        _fold(config, run, name, splits, cells, rows)
    made = {
        (model, split): table.to_predictions(
            each, model, split, target=cells.target, time_unit=cells.unit, selected=_selected(folds)
        )
        for (model, split), each in rows.items()
    }
    table.write(run, made, LATENT_ODE)


def _fold(config: Config, run: Run, name: str, splits: Splits, cells: Cells, rows: table.Table) -> None:
    lesson = lesson_of(config, cells, splits)
    parts: list[tuple[Split, list[Track]]] = [("test", cells.of(splits.test))]
    if splits.valid:
        parts.append(("valid", cells.of(splits.valid)))
    kinds = (LATENT_ODE, LSTM) if config.yardsticks else (LATENT_ODE,)
    models = {kind: ensemble(config, run, name, kind, lesson) for kind in kinds}
    for split, tracks in parts:
        table.put(rows, LATENT_ODE, split, tracks, predict(models[LATENT_ODE], tracks))
    tracks = cells.of(splits.test)
    for model, outputs in _yardsticks(config, lesson, tracks).items():
        table.put(rows, model, "test", tracks, outputs)
    if LSTM in models:
        table.put(rows, LSTM, "test", tracks, predict(models[LSTM], tracks))


def _yardsticks(config: Config, lesson: Lesson, tracks: Sequence[Track]) -> dict[str, list[Array]]:
    outputs = {
        yardsticks.LAST_VALUE: [yardsticks.carried(track) for track in tracks],
        yardsticks.LINEAR_FADE: [yardsticks.fade_of_others(track, lesson.train) for track in tracks],
    }
    if config.yardsticks:
        outputs[yardsticks.TREES] = yardsticks.trees_on_inputs(lesson.train, tracks, config.fit.seed)
    return outputs


def lesson_of(config: Config, cells: Cells, splits: Splits) -> Lesson:
    """Windows of the training cells."""
    return Lesson(
        train=cells.of(splits.train),
        valid=cells.of(splits.valid),
        names=cells.names,
        draw=window(config.window_steps),
        splits=splits,
    )


def window(length: int) -> Draw:
    """Draws `length` consecutive steps; a shorter track is taken whole."""

    def draw(track: Track, random: np.random.Generator) -> Track:
        start = int(random.integers(max(1, len(track) - length + 1)))
        return track.take(np.arange(start, min(start + length, len(track))))

    return draw


def _selected(folds: dict[str, Splits]) -> str:
    if any(splits.valid for splits in folds.values()):
        return "lowest valid/rmse"
    return "lowest train/rmse: no cell is spared for validation"
