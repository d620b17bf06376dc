"""Task forecast: from the first part of a cell's life to the rest of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.splits import Splits
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.recipes.battery import table, yardsticks
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.folds import folds_of
from homeostat.recipes.battery.inputs import Cells, read_cells
from homeostat.recipes.battery.learn import Lesson, ensemble, predict
from homeostat.recipes.battery.scaled import LATENT_ODE, LSTM
from homeostat.recipes.battery.track import Track
from homeostat.run import Run

# Shorter records have no later life to speak of.
FEWEST_STEPS = 20
FEWEST_SEEN, FEWEST_AHEAD = 5, 3
# Shares of a life after which training forecasts begin: around those that are asked for.
CUT_FROM, CUT_TO = 0.15, 0.65
# Points to which the seen and the coming part are thinned in training. A forecast needs the course, not each cycle.
POINTS = 24
# Shift of all seen health values of a training piece together, so that the level of a cell is no name tag.
LEVEL_NOISE = 0.01

Outputs = dict[tuple[str, float], list[tuple[Track, Array]]]


def read(config: Config, store: Store, *, open_ended: bool = False) -> Cells:
    """Cells with a long enough record. Inputs: health itself, ambient temperature or what is asked for, rest before.

    `open_ended` also keeps the steps after the last known target, for a forecast of what nobody knows yet.
    """
    ambient = ("ambient_c",) if store.meta["source"] == "nasa" else ()
    cells = read_cells(store, cells=config.cells, inputs=config.inputs or ambient, early=False)
    rested = _rests(store, cells)
    tracks, groups = [], []
    for track, rest, group in zip(cells.tracks, rested, cells.groups, strict=True):
        known = np.flatnonzero(track.scored)
        if len(known) >= (FEWEST_SEEN if open_ended else FEWEST_STEPS):
            if open_ended:
                known = np.append(known, np.arange(known[-1] + 1, len(track)))
            inputs = np.column_stack([track.target, track.inputs, rest])
            tracks.append(replace(track, inputs=inputs, seen=track.scored).take(known))
            groups.append(group)
    if not tracks:
        raise DataError(
            f"No cell has enough steps with a known {cells.target}: at least {FEWEST_SEEN}, in training {FEWEST_STEPS}."
        )
    names = (cells.target, *cells.names, *(["rest"] * rested[0].shape[1]))
    return replace(cells, tracks=tuple(tracks), groups=tuple(groups), names=names)


def _rests(store: Store, cells: Cells) -> list[Array]:
    """(T, 1), or (T, 0) where the clock is the time itself: days since the step before, at most three.

    A cell recovers while it rests; longer rests do not recover more.
    """
    time = store.ragged("time")
    known = [str(cell) for cell in store["cell"]]
    rows = [np.asarray(time[known.index(cell)], np.float64) for cell in cells.cells]
    width = int(cells.unit != store.meta["time_unit"])
    return [np.minimum(np.diff(row, prepend=row[0]), 3.0)[:, None][:, :width] for row in rows]


def train(config: Config, run: Run, store: Store) -> None:
    """Fit each fold, forecast its unseen cells from each share of their lives, write predictions and splits."""
    cells = read(config, store)
    run.environment(inputs=[name for name in cells.names[1:] if name != "rest"])
    folds = folds_of(config, cells, store.fingerprint, groups=cells.groups)
    if len(folds) == 1:
        next(iter(folds.values())).save(run.splits_file)
    made: dict[Split, Outputs] = {}
    for name, splits in folds.items():
        _fold(config, run, name, splits, cells, made)
    written = {
        (model, split): to_predictions(outputs, model, split, config.seen_shares, cells)
        for split, outputs in made.items()
        for model in dict.fromkeys(model for model, _ in outputs)
    }
    table.write(run, written, LATENT_ODE)


def _fold(
    config: Config, run: Run, name: str, splits: Splits, cells: Cells, made: dict[Split, Outputs]
) -> None:
    lesson = lesson_of(cells, splits, config.seen_shares)
    forecasters: dict[str, Callable[[Sequence[Track]], list[Array]]] = {
        yardsticks.LAST_VALUE: lambda tracks: [np.full(len(track), track.base) for track in tracks],
        yardsticks.LINEAR_FADE: lambda tracks: [yardsticks.own_line(track) for track in tracks],
    }
    ode = ensemble(config, run, name, LATENT_ODE, lesson)
    forecasters[LATENT_ODE] = lambda tracks: predict(ode, tracks)
    if config.yardsticks:
        lstm = ensemble(config, run, name, LSTM, lesson)
        fitted = yardsticks.trees(config.fit.seed).fit(*_tree_rows(cells.of(splits.train)))
        forecasters[LSTM] = lambda tracks: _between(
            tracks, predict(lstm, [thinned(track) for track in tracks])
        )
        forecasters[yardsticks.TREES] = lambda tracks: [
            track.base + np.asarray(fitted.predict(tree_inputs(track)), np.float64) for track in tracks
        ]
    parts: list[tuple[Split, tuple[str, ...]]] = [("test", splits.test), ("valid", splits.valid)]
    for split, names in parts:
        for share in config.seen_shares if names else ():
            tracks = [seen_until(track, share) for track in cells.of(names)]
            for model, forecaster in forecasters.items():
                if split != "test" and model != LATENT_ODE:
                    continue
                rows = zip(tracks, forecaster(tracks), strict=True)
                made.setdefault(split, {}).setdefault((model, share), []).extend(rows)


def lesson_of(cells: Cells, splits: Splits, shares: Sequence[float]) -> Lesson:
    """Pieces cut at random shares; judged at the shares that are asked for."""
    return Lesson(
        train=cells.of(splits.train),
        valid=[seen_until(track, share) for share in shares for track in cells.of(splits.valid)],
        judged=[seen_until(track, share) for share in shares for track in cells.of(splits.train)],
        names=cells.names,
        draw=draw_piece,
        relative=True,
        noise=0.0,
        splits=splits,
    )


def draw_piece(track: Track, random: np.random.Generator) -> Track:
    """The track cut at a random share of its life, both sides thinned at random."""
    count = len(track)
    cut = int(np.clip(random.uniform(CUT_FROM, CUT_TO) * count, FEWEST_SEEN, count - FEWEST_AHEAD))
    seen = np.append(random.choice(cut - 1, min(POINTS - 1, cut - 1), replace=False), cut - 1)
    ahead = random.choice(np.arange(cut, count), min(POINTS, count - cut), replace=False)
    inputs = track.inputs.copy()
    inputs[:, 0] += random.normal(0, LEVEL_NOISE)
    return cut_at(replace(track, inputs=inputs), cut, np.sort(seen), np.sort(ahead))


def seen_until(track: Track, share: float) -> Track:
    """The track seen until that share of its steps: that part thinned evenly, every later step to be forecast."""
    cut = min(max(math.ceil(share * len(track)), 2), len(track) - 1)
    seen = np.unique(np.round(np.linspace(0, cut - 1, POINTS)).astype(int))
    return cut_at(track, cut, seen, np.arange(cut, len(track)))


def from_now(track: Track) -> Track:
    """Seen until its last known target, every step after that to be forecast."""
    cut = int(track.seen.sum())
    if cut == len(track):
        raise DataError(
            f"Cell {track.cell} has a target at its last step, so there is nothing to forecast. "
            "Add rows with later times and no target."
        )
    seen = np.unique(np.round(np.linspace(0, cut - 1, POINTS)).astype(int))
    return cut_at(track, cut, seen, np.arange(cut, len(track)))


def cut_at(track: Track, cut: int, seen: Array, ahead: Array) -> Track:
    """Some steps before the cut with their inputs, some after it without."""
    piece = track.take(np.concatenate([seen, ahead]))
    before = np.arange(len(piece)) < len(seen)
    return replace(
        piece,
        inputs=np.where(before[:, None], piece.inputs, np.nan),
        seen=before,
        scored=piece.scored & ~before,
        base=float(track.target[cut - 1]),
    )


def thinned(track: Track) -> Track:
    """At most as many steps ahead as in training: a recurrent network that rolls on is tied to that number."""
    ahead = np.flatnonzero(~track.seen)
    chosen = ahead[np.unique(np.round(np.linspace(0, len(ahead) - 1, POINTS)).astype(int))]
    return track.take(np.concatenate([np.flatnonzero(track.seen), chosen]))


def _between(tracks: Sequence[Track], outputs: Sequence[Array]) -> list[Array]:
    """Outputs of the thinned tracks, interpolated to every step."""
    return [
        np.interp(track.time, thinned(track).time, output)
        for track, output in zip(tracks, outputs, strict=True)
    ]


def tree_inputs(track: Track) -> Array:
    """What was seen, in numbers, and how far ahead each step lies, (T, 8 + inputs beside health)."""
    seen = track.seen
    time, health = track.time[seen], track.target[seen]
    late = slice(-max(3, len(time) // 3), None)
    told = [
        track.base,
        health.mean(),
        health.min(),
        health[0],
        yardsticks.slope(time, health),
        yardsticks.slope(time[late], health[late]),
        time[-1] - time[0],
    ]
    told += [
        np.nanmean(column) if np.isfinite(column).any() else np.nan for column in track.inputs[seen, 1:].T
    ]
    return np.column_stack([np.tile(told, (len(track), 1)), track.time - time[-1]])


def _tree_rows(tracks: Sequence[Track]) -> tuple[Array, Array]:
    """Ten cuts of each training cell; the target is the change since the last value seen."""
    cuts = [seen_until(track, share) for track in tracks for share in np.linspace(CUT_FROM, CUT_TO, 10)]
    x = np.concatenate([tree_inputs(cut)[cut.scored] for cut in cuts])
    y = np.concatenate([cut.target[cut.scored] - cut.base for cut in cuts])
    return x, y


def to_predictions(
    outputs: Outputs, model: str, split: Split, shares: Sequence[float], cells: Cells
) -> Predictions:
    """One row per step after the earliest cut, one target per share; before a share's own cut it has no truth."""
    columns = [
        {track.cell: (track, output) for track, output in outputs[(model, share)]} for share in sorted(shares)
    ]
    ids, subjects, times, targets, guesses = [], [], [], [], []
    for cell, (longest, _) in columns[0].items():
        steps = longest.steps[~longest.seen]
        ids += [f"{cell}/{step}" for step in steps]
        subjects += [cell] * len(steps)
        times.append(longest.time[~longest.seen])
        placed = [_placed(*column[cell], steps) for column in columns]
        targets.append(np.column_stack([target for target, _ in placed]))
        guesses.append(np.column_stack([guess for _, guess in placed]))
    return Predictions.build(
        "regression",
        split,
        ids=ids,
        subjects=subjects,
        targets=np.concatenate(targets),
        outputs=np.concatenate(guesses),
        names=tuple(f"{cells.target} from {100 * share:g} %" for share in sorted(shares)),
        time=np.concatenate(times),
        model=model,
        time_unit=cells.unit,
    )


def _placed(track: Track, output: Array, steps: Array) -> tuple[Array, Array]:
    """(target, output) at these steps. Before the track's own cut: no truth, and the last value seen."""
    target, guess = np.full(len(steps), np.nan), np.full(len(steps), track.base)
    ahead = ~track.seen
    place = np.searchsorted(steps, track.steps[ahead])
    target[place] = np.where(track.scored, track.target, np.nan)[ahead]
    guess[place] = output[ahead]
    return target, guess
