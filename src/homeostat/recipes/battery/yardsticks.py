"""What must a network beat? Rules that need no training, and gradient-boosted trees on the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from homeostat.data.ragged import Array
from homeostat.errors import DataError
from homeostat.recipes.battery.track import Track

if TYPE_CHECKING:
    from xgboost import XGBRegressor

LAST_VALUE, LINEAR_FADE, TREES = "last-value", "linear-fade", "trees"


def first_value(track: Track) -> tuple[float, float]:
    """(time, value) of the first step with a known target."""
    known = np.flatnonzero(track.scored)
    if len(known) == 0:
        raise DataError(
            f"Cell {track.cell} has no step with a known target, so it cannot be scored. Leave it out."
        )
    return float(track.time[known[0]]), float(track.target[known[0]])


def carried(track: Track) -> Array:
    """The last value of a cell whose health is never measured again: its first one. Knows that one capacity."""
    return np.full(len(track), first_value(track)[1])


def fade_of_others(track: Track, train: Sequence[Track]) -> Array:
    """From the cell's first value down the mean line of the training cells. Knows one capacity."""
    slopes = [
        slope(each.time[each.scored], each.target[each.scored]) for each in train if each.scored.sum() > 1
    ]
    start, value = first_value(track)
    return np.asarray(value + np.mean(slopes) * (track.time - start))


def own_line(track: Track) -> Array:
    """The line through what was seen of the cell itself, carried on."""
    seen = track.seen & np.isfinite(track.target)
    rate = slope(track.time[seen], track.target[seen]) if seen.sum() > 1 else 0.0
    return np.asarray(track.target[seen].mean() + rate * (track.time - track.time[seen].mean()))


def slope(time: Array, value: Array) -> float:
    """Of the least-squares line."""
    since = time - time.mean()
    spread = float(since @ since)
    return float(since @ value) / spread if spread > 0 else 0.0


def trees(seed: int) -> XGBRegressor:
    """One setting for every task: small trees, slow steps, for some hundred rows."""
    from xgboost import XGBRegressor  # slow to load, and most commands need none

    return XGBRegressor(
        n_estimators=300,
        learning_rate=0.05,
        max_depth=4,
        subsample=0.8,
        min_child_weight=3,
        random_state=seed,
        n_jobs=1,
    )


def trees_on_inputs(train: Sequence[Track], tracks: Sequence[Track], seed: int) -> list[Array]:
    """Each step from its own inputs."""
    x = np.concatenate([track.inputs[track.scored] for track in train])
    y = np.concatenate([track.target[track.scored] for track in train])
    model = trees(seed).fit(x, y)
    return [np.asarray(model.predict(track.inputs), np.float64) for track in tracks]
