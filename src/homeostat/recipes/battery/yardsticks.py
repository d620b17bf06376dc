"""Yard-sticks that a network must beat: rules without training, and boosted trees on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from homeostat.data.ragged import Array
from homeostat.errors import DataError
from homeostat.methods import yardstick
from homeostat.methods.method import Lesson, Method, Predictor
from homeostat.recipes.battery.track import Track
from homeostat.recipes.battery.view import View
from homeostat.run import Run

LAST_VALUE, LINEAR_FADE, TREES = "last-value", "linear-fade", "trees"
# One setting for every task: small trees, slow steps, for some hundred rows.
SETTINGS = {"learning_rate": 0.05, "max_depth": 4, "subsample": 0.8, "min_child_weight": 3}
ROUNDS = 300


Line = Callable[[Track], Array]
"""The course of one cell by a rule, (T,)."""


def rule(name: str, fit: Callable[[Sequence[Track]], Line]) -> Method[View]:
    """A rule. `fit` reads what it needs off the training tracks."""

    def fit_answer(lesson: Lesson[View]) -> Callable[[View, Sequence[str]], Array]:
        line = fit(lesson.data.cells.of(lesson.splits.train))
        return lambda view, ids: view.answer(ids, lambda tracks: [line(track) for track in tracks])

    return yardstick.rule(name, fit_answer, parts=("test",))


def carried(track: Track) -> Array:
    """The last value of a cell whose health is never measured again: its first one. Knows that one capacity."""
    return np.full(len(track), first_value(track)[1])


def fade_of_others(train: Sequence[Track]) -> Line:
    """From a cell's first value down the mean line of the training cells. Knows one capacity."""
    known = [(track.time[track.scored], track.target[track.scored]) for track in train]
    mean = np.mean([slope(time, value) for time, value in known if len(time) > 1])

    def fade(track: Track) -> Array:
        start, value = first_value(track)
        return np.asarray(value + mean * (track.time - start))

    return fade


def last_seen(track: Track) -> Array:
    """The last value that was seen of a cell."""
    return np.full(len(track), track.base)


def own_line(track: Track) -> Array:
    """The line through what was seen of the cell itself, carried on."""
    seen = track.seen & np.isfinite(track.target)
    rate = slope(track.time[seen], track.target[seen]) if seen.sum() > 1 else 0.0
    return np.asarray(track.target[seen].mean() + rate * (track.time - track.time[seen].mean()))


def first_value(track: Track) -> tuple[float, float]:
    """(time, value) of the first step with a known target."""
    known = np.flatnonzero(track.scored)
    if len(known) == 0:
        raise DataError(
            f"Cell {track.cell} has no step with a known target, so it cannot be scored. Leave it out."
        )
    return float(track.time[known[0]]), float(track.target[known[0]])


def slope(time: Array, value: Array) -> float:
    """The slope of the least-squares line."""
    since = time - time.mean()
    spread = float(since @ since)
    return float(since @ value) / spread if spread > 0 else 0.0


def trees(
    examples: Callable[[Sequence[Track]], Sequence[Track]], inputs: Callable[[Track], Array]
) -> Method[View]:
    """Boosted trees that predict each step's change since the base of its track, from numbers (T, F) of the step.

    `examples` makes what is learnt from out of the training tracks.
    """
    boosted: Method[Sequence[Track]] = yardstick.trees(
        TREES,
        columns=lambda tracks, _: np.concatenate([inputs(track) for track in tracks]),
        targets=lambda tracks, _: np.concatenate([change(track) for track in tracks]),
        settings=SETTINGS,
        rounds=ROUNDS,
        parts=("test",),
    )

    def train(lesson: Lesson[View], run: Run) -> Predictor[View]:
        tracks = examples(lesson.data.cells.of(lesson.splits.train))
        own = Lesson(data=tracks, splits=lesson.splits, seed=lesson.seed)
        return predictor(boosted.train(own, run))

    def load(run: Run) -> Predictor[View]:
        assert boosted.load is not None
        return predictor(boosted.load(run))

    return Method(name=TREES, train=train, load=load, parts=boosted.parts, is_single=True)


def predictor(boosted: Predictor[Sequence[Track]]) -> Predictor[View]:
    """The predictor of trees in the rows of a table."""

    def model(tracks: Sequence[Track]) -> list[Array]:
        changes = np.split(boosted.answer(tracks, ()), np.cumsum([len(track) for track in tracks])[:-1])
        return [track.base + each for track, each in zip(tracks, changes, strict=True)]

    return Predictor(lambda view, ids: view.answer(ids, model))


def change(track: Track) -> Array:
    """The change of the target since the base of the track, where it is known and scored."""
    return np.where(track.scored, track.target - track.base, np.nan)
