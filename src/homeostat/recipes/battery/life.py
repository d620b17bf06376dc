"""Task cycle-life: how many cycles a cell lasts, from its first 100.

The model of the run is the published kind: elastic nets on features of the discharge curve, here two of them.
The networks read the same cycles as a series and stand beside it; with 41 training cells they do not win.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.methods import linear
from homeostat.methods.method import Lesson, Method
from homeostat.methods.yardstick import rule, trees
from homeostat.recipes.battery import dq, learn, yardsticks
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.inputs import Cells
from homeostat.recipes.battery.scaled import LSTM
from homeostat.recipes.battery.track import Track, whole
from homeostat.recipes.battery.view import Outputs, View

DISCHARGE_CURVE, VARIANCE, MEAN_LIFE = "discharge-curve", "curve-variance", "mean-life"
# Chosen by cross-validation on the training cells: moments of one change, and variances of four.
FEATURE_SETS = ((*dq.MOMENTS, *dq.CAPACITY), ("log_var", "log_min", *dq.PAIRS, *dq.CAPACITY))
# A cell is spent at 80 % of its rated capacity; a line that hardly falls ends at a life beyond any on record.
END_OF_LIFE, LONGEST_LIFE = 0.8, 3000.0
LIFE, FADE = "cycle life", "fade"
SERIES = ("capacity_ah", "log_var", "log_min")
# Cycles between two steps of the series: the change from cycle 10 to 11 is noise.
STRIDE, FIRST = 4, 16


def has_lives(store: Store) -> bool:
    """Say whether these are data of this task."""
    return "cycle_life" in store and "qv_ah" in store


def read(config: Config, store: Store, is_new: bool) -> View:
    """The early cycles of each cell as a track; as numbers its features, its life, and the life by its fade."""
    if not has_lives(store):
        raise DataError(
            f"Store {store.path.name} has no cycle lives and curves. Use --task soh or --task forecast."
        )
    tracks = tuple(series(store))
    cells = tuple(track.cell for track in tracks)
    return View(
        cells=Cells(tracks=tracks, names=SERIES, target=LIFE, unit="cycles", groups=cells),
        draw=lambda track, _: track,
        columns={LIFE: lambda track: track},
        reach=len(tracks[0]),
        noise=config.noise,
        numbers={
            **dq.features(store),
            LIFE: np.asarray(store["cycle_life"], np.float64),
            FADE: fade_lives(store),
        },
    )


def table(view: View, ids: Sequence[str], outputs: Array, part: Split) -> Predictions:
    """One row per cell."""
    lives = view.numbers[LIFE][view.rows(ids)]
    return Predictions.build(
        "regression", part, ids=ids, targets=lives, outputs=outputs, names=(LIFE,), unit="cycles"
    )


def methods(config: Config, view: View) -> list[Method[View]]:
    """The elastic nets, the rules, and the yard-sticks that are trained."""
    every = trees(
        yardsticks.TREES,
        columns=lambda own, ids: np.stack([own.numbers[name] for name in dq.NAMES], axis=1)[own.rows(ids)],
        targets=log_lives,
        settings=yardsticks.SETTINGS,
        rounds=yardsticks.ROUNDS,
        answer=lambda margins, _: np.asarray(10**margins),
        parts=("test",),
    )
    kinds = (learn.main_kind(config), LSTM)
    networks = [learn.network(config, kind, view, answer=last_step, average="logs") for kind in kinds]
    return [
        elastic_nets(DISCHARGE_CURVE, FEATURE_SETS, parts=("test", "valid", "train")),
        elastic_nets(VARIANCE, (("log_var",),), parts=("test",)),
        rule(MEAN_LIFE, mean_of_others, parts=("test",)),
        rule(
            yardsticks.LINEAR_FADE,
            lambda lesson: lambda own, ids: own.numbers[FADE][own.rows(ids)],
            parts=("test",),
        ),
        *([every, *networks] if config.yardsticks else []),
    ]


def elastic_nets(name: str, sets: Sequence[Sequence[str]], *, parts: tuple[Split, ...]) -> Method[View]:
    """The geometric mean of the lives that lines on sets of features predict."""
    return linear.elastic_nets(
        name,
        sets,
        features=lambda view: view.numbers,
        rows=View.rows,
        targets=log_lives,
        answer=lambda logs: np.asarray(10**logs),
        parts=parts,
    )


def log_lives(view: View, ids: Sequence[str]) -> Array:
    """log10 of the lives of training cells."""
    lives = view.numbers[LIFE][view.rows(ids)]
    unknown = [cell for cell, life in zip(ids, lives, strict=True) if not np.isfinite(life)]
    if unknown:
        raise DataError(
            f"Training cell {unknown[0]} has no cycle life ({len(unknown)} in all). Take it out of train."
        )
    return np.asarray(np.log10(lives))


def mean_of_others(lesson: Lesson[View]) -> Callable[[View, Sequence[str]], Array]:
    """The mean life of the training cells, for every cell."""
    mean = lesson.data.numbers[LIFE][lesson.data.rows(lesson.splits.train)].mean()
    return lambda view, ids: np.full(len(ids), mean)


def last_step(view: View, ids: Sequence[str], model: Outputs) -> Array:
    """The life that a network predicts at the last step of each cell."""
    return np.array([10 ** output[-1] for output in model(view.cells.of(ids))])


def fade_lives(store: Store) -> Array:
    """The cycles at which the line through the second half of the cycles reaches the end of life."""
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
