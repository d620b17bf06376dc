"""Task cycle-life: how many cycles does a cell last, from its first 100?

The model of the run is the published kind: elastic nets on features of the discharge curve, here two of them.
The networks read the same cycles as a series and stand beside it; with 41 training cells they do not win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.splits import Splits, by_subject, predefined
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import Split
from homeostat.recipes.battery import dq, table, yardsticks
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.learn import Lesson, ensemble, predict
from homeostat.recipes.battery.line import Line, mean_life, save
from homeostat.recipes.battery.scaled import LATENT_ODE, LSTM
from homeostat.recipes.battery.track import Track, whole
from homeostat.run import Run

DISCHARGE_CURVE, VARIANCE, MEAN_LIFE = "discharge-curve", "curve-variance", "mean-life"
# Chosen by cross-validation on the training cells: moments of one change, and variances of four.
FEATURE_SETS = ((*dq.MOMENTS, *dq.CAPACITY), ("log_var", "log_min", *dq.PAIRS, *dq.CAPACITY))
# The publication's primary test cells. Cells of further splits take no part; `predict` is there for them.
TEST = ("test", "test1", "primary")
# A cell is spent at 80 % of its rated capacity; a line that hardly falls ends at a life beyond any on record.
END_OF_LIFE, LONGEST_LIFE = 0.8, 3000.0
SERIES = ("capacity_ah", "log_var", "log_min")
# Cycles between two steps of the series: the change from cycle 10 to 11 is noise.
STRIDE, FIRST = 4, 16
MODEL_FILE = "cycle-life.json"


def has_lives(store: Store) -> bool:
    """Whether these are data of this task."""
    return "cycle_life" in store and "qv_ah" in store


def train(config: Config, run: Run, store: Store) -> None:
    """Fit on the training cells of the publication, predict its primary test cells."""
    if not has_lives(store):
        raise DataError(
            f"Store {store.path.name} has no cycle lives and curves. Use --task soh or --task forecast."
        )
    cells, life = [str(cell) for cell in store["cell"]], np.asarray(store["cycle_life"], np.float64)
    splits = split_of(store, config)
    splits.save(run.splits_file)
    features, rows = dq.features(store), splits.rows(cells, "train")
    unknown = [cells[row] for row in rows if not np.isfinite(life[row])]
    if unknown:
        raise DataError(
            f"Training cell {unknown[0]} has no cycle life ({len(unknown)} in all). Take it out of train."
        )
    learnt = {name: values[rows] for name, values in features.items()}
    lines = [Line.fit(learnt, names, np.log10(life[rows])) for names in FEATURE_SETS]
    save(lines, run.export / MODEL_FILE)
    outputs = {
        DISCHARGE_CURVE: mean_life(lines, features),
        VARIANCE: mean_life([Line.fit(learnt, ("log_var",), np.log10(life[rows]))], features),
        MEAN_LIFE: np.full(len(life), life[rows].mean()),
        yardsticks.LINEAR_FADE: fade_lives(store),
    }
    if config.yardsticks:
        outputs |= {yardsticks.TREES: _tree_lives(features, rows, life, config.fit.seed)}
        outputs |= _network_lives(config, run, store, splits)
    for model, values in outputs.items():
        _write(run, model, splits, cells, life, values)


def split_of(store: Store, config: Config) -> Splits:
    """The published split; without one, cells are dealt."""
    cells, named = [str(cell) for cell in store["cell"]], [str(name) for name in store["split"]]
    if "train" not in named:
        return by_subject(cells, cells, seed=config.split_seed, fingerprint=store.fingerprint, unit="cell")
    parts = ["train" if name == "train" else "test" if name in TEST else None for name in named]
    return predefined(cells, cells, parts, fingerprint=store.fingerprint, unit="cell")


def fade_lives(store: Store) -> Array:
    """Where the line through the second half of the cycles reaches the end of life."""
    limit = END_OF_LIFE * float(store.meta["rated_ah"])
    lives = []
    for cycle, capacity in zip(*dq.capacities(store), strict=True):
        half = len(cycle) // 2
        slope = yardsticks.slope(cycle[half:], capacity[half:])
        left = (capacity[half:].mean() - limit) / -slope if slope < 0 else LONGEST_LIFE
        lives.append(np.clip(cycle[half:].mean() + left, cycle[-1], LONGEST_LIFE))
    return np.array(lives)


def series(store: Store) -> list[Track]:
    """Every fourth cycle: capacity, and the change of Q(V) since cycle 10. The last step holds log10(life)."""
    curves, all_cycles = np.asarray(store["qv_ah"], np.float64), np.asarray(store.meta["qv_cycles"])
    at = np.arange(FIRST, dq.LATE + 1, STRIDE)
    early = dq.curve_at(curves, all_cycles, dq.EARLY)
    changes = [dq.curve_at(curves, all_cycles, int(cycle)) - early for cycle in at]
    log_var = np.stack([np.log10(change.var(axis=1) + 1e-9) for change in changes], axis=1)
    log_min = np.stack([np.log10(np.abs(change.min(axis=1)) + 1e-9) for change in changes], axis=1)
    life = np.asarray(store["cycle_life"], np.float64)
    tracks = []
    for row, (cycle, capacity) in enumerate(zip(*dq.capacities(store), strict=True)):
        inputs = np.column_stack([np.interp(at, cycle, capacity), log_var[row], log_min[row]])
        target = np.full(len(at), np.nan)
        target[-1] = np.log10(life[row])
        tracks.append(whole(str(store["cell"][row]), at, inputs, target))
    return tracks


def _network_lives(config: Config, run: Run, store: Store, splits: Splits) -> dict[str, Array]:
    tracks = series(store)
    known = {track.cell: track for track in tracks}
    lesson = Lesson(
        train=[known[cell] for cell in splits.train],
        valid=[known[cell] for cell in splits.valid],
        names=SERIES,
        draw=lambda track, _: track,
        splits=splits,
    )
    longer = replace(config, window_steps=len(tracks[0]))
    fitted = {kind: ensemble(longer, run, "lives", kind, lesson) for kind in (LATENT_ODE, LSTM)}
    return {
        kind: np.array([10 ** output[-1] for output in predict(models, tracks)])
        for kind, models in fitted.items()
    }


def _tree_lives(features: Mapping[str, Array], rows: Array, life: Array, seed: int) -> Array:
    x = np.stack(list(features.values()), axis=1)
    model = yardsticks.trees(seed).fit(x[rows], np.log10(life[rows]))
    return np.asarray(10 ** model.predict(x).astype(np.float64))


def _write(run: Run, model: str, splits: Splits, cells: list[str], life: Array, values: Array) -> None:
    parts: tuple[Split, ...] = ("test", "valid", "train") if model == DISCHARGE_CURVE else ("test",)
    for split in parts:
        rows = splits.rows(cells, split)
        if len(rows):
            made = predictions.Predictions.build(
                "regression",
                split,
                ids=[cells[row] for row in rows],
                targets=life[rows],
                outputs=values[rows],
                names=("cycle life",),
                model=model,
                unit="cycles",
                selected="elastic-net strengths by cross-validation on train"
                if model == DISCHARGE_CURVE
                else "",
            )
            predictions.write(made, table.file_of(run, model, split, DISCHARGE_CURVE))
