"""Task forecast: from the first part of a cell's life to the rest of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.methods.method import Method
from homeostat.recipes.battery import learn, yardsticks
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.inputs import REST, Cells, read_cells
from homeostat.recipes.battery.scaled import LSTM
from homeostat.recipes.battery.track import Track
from homeostat.recipes.battery.view import Outputs, Show, View

# Shorter records have no later life to speak of.
FEWEST_STEPS = 20
FEWEST_SEEN, FEWEST_AHEAD = 5, 3
# Shares of a life after which training forecasts begin: around those that are asked for.
CUT_FROM, CUT_TO = 0.15, 0.65
# Points to which the seen and the coming part are thinned in training. A forecast needs the course, not each cycle.
POINTS = 24
# Shift of all seen health values of a training piece together, so that the level of a cell is no name tag.
LEVEL_NOISE = 0.01


def read(config: Config, store: Store, is_new: bool) -> View:
    """Cells with a long enough record, in pieces cut at random shares; forecast from the shares that are asked for.

    Inputs: health itself, ambient temperature or what is asked for, rest before. New cells also keep the steps after
    their last known target, which are forecast from there.
    """
    ambient = ("ambient_c",) if store.meta["source"] == "nasa" else ()
    cells = read_cells(store, cells=config.cells, inputs=config.inputs or ambient, early=False)
    rested = _rests(store, cells)
    tracks, groups = [], []
    for track, rest, group in zip(cells.tracks, rested, cells.groups, strict=True):
        known = np.flatnonzero(track.scored)
        if len(known) >= (FEWEST_SEEN if is_new else FEWEST_STEPS):
            if is_new:
                known = np.append(known, np.arange(known[-1] + 1, len(track)))
            inputs = np.column_stack([track.target, track.inputs, rest])
            tracks.append(replace(track, inputs=inputs, seen=track.scored).take(known))
            groups.append(group)
    if not tracks:
        raise DataError(
            f"No cell has enough steps with a known {cells.target}: at least {FEWEST_SEEN}, in training {FEWEST_STEPS}."
        )
    names = (cells.target, *cells.names, *([REST] * rested[0].shape[1]))
    shares: dict[str, Show] = {
        f"{cells.target} from {100 * share:g} %": partial(seen_until, share=share)
        for share in sorted(config.seen_shares)
    }
    return View(
        cells=replace(cells, tracks=tuple(tracks), groups=tuple(groups), names=names),
        draw=draw_piece,
        columns={cells.target: from_now} if is_new else shares,
        reach=config.window_steps,
        relative=True,
    )


def methods(config: Config, view: View) -> list[Method[View]]:
    """The latent ODE, the rules, and the yard-sticks that are trained."""
    lstm = learn.network(config, LSTM, view, answer=answer_thinly)
    return [
        learn.network(config, learn.main_kind(config), view),
        yardsticks.rule(yardsticks.LAST_VALUE, lambda train: yardsticks.last_seen),
        yardsticks.rule(yardsticks.LINEAR_FADE, lambda train: yardsticks.own_line),
        *([lstm, yardsticks.trees(ten_cuts, tree_inputs)] if config.yardsticks else []),
    ]


def _rests(store: Store, cells: Cells) -> list[Array]:
    """(T, 1), or (T, 0) where the clock is the time itself: days since the step before, at most three.

    A cell recovers while it rests; longer rests do not recover more.
    """
    time = store.ragged("time")
    known = [str(cell) for cell in store["cell"]]
    rows = [np.asarray(time[known.index(cell)], np.float64) for cell in cells.cells]
    width = int(cells.unit != store.meta["time_unit"])
    return [np.minimum(np.diff(row, prepend=row[0]), 3.0)[:, None][:, :width] for row in rows]


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
    """The track seen until that share of its steps, every later step to be forecast."""
    return seen_before(track, min(max(math.ceil(share * len(track)), 2), len(track) - 1))


def from_now(track: Track) -> Track:
    """The track seen until its last known target, every step after that to be forecast."""
    cut = int(track.seen.sum())
    if cut == len(track):
        raise DataError(
            f"Cell {track.cell} has a target at its last step, so there is nothing to forecast. "
            "Add rows with later times and no target."
        )
    return seen_before(track, cut)


def seen_before(track: Track, cut: int) -> Track:
    """The track seen until a step; that part is thinned evenly."""
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


def answer_thinly(view: View, ids: Sequence[str], model: Outputs) -> Array:
    """Outputs of the thinned tracks, interpolated to every step."""

    def between(tracks: Sequence[Track]) -> list[Array]:
        few = [thinned(track) for track in tracks]
        return [
            np.interp(track.time, thin.time, output)
            for track, thin, output in zip(tracks, few, model(few), strict=True)
        ]

    return view.answer(ids, between)


def tree_inputs(track: Track) -> Array:
    """Numbers of what was seen, and how far ahead each step lies, (T, 8 + inputs beside health)."""
    seen = track.seen
    time, health = track.time[seen], track.target[seen]
    late = slice(-max(3, len(time) // 3), None)
    numbers = [
        track.base,
        health.mean(),
        health.min(),
        health[0],
        yardsticks.slope(time, health),
        yardsticks.slope(time[late], health[late]),
        time[-1] - time[0],
    ]
    numbers += [
        np.nanmean(column) if np.isfinite(column).any() else np.nan for column in track.inputs[seen, 1:].T
    ]
    return np.column_stack([np.tile(numbers, (len(track), 1)), track.time - time[-1]])


def ten_cuts(tracks: Sequence[Track]) -> list[Track]:
    """Ten cuts of each training cell."""
    return [seen_until(track, share) for track in tracks for share in np.linspace(CUT_FROM, CUT_TO, 10)]
