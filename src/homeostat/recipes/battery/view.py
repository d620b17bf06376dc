"""The view that methods have of the cells: what they learn from, what they predict, and in which rows.

A table has one row per step and one column per question. The health of a cell is one question; its forecasts from
several shares of its life are several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.splits import rows_of
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.recipes.battery.inputs import Cells
from homeostat.recipes.battery.track import Track

Draw = Callable[[Track, np.random.Generator], Track]
"""(track, random numbers of this sample) -> the piece of the track that is learnt from."""
Show = Callable[[Track], Track]
"""The track of a cell -> what is shown of it."""
Outputs = Callable[[Sequence[Track]], list[Array]]
"""A model: tracks -> for each the output at every step, (T,)."""


@dataclass(frozen=True, kw_only=True)
class View:
    """Tracks of cells, and what one task does with them."""

    cells: Cells
    draw: Draw
    columns: Mapping[str, Show]
    """Name of a column of the table -> what is shown of a cell's track. The first one predicts the most steps."""
    reach: int
    """Steps of a training window. The yard-stick network looks no further back, for more would be new to it."""
    noise: float = 0.0
    """Noise added to inputs in training, as a share of their spread."""
    relative: bool = False
    """True: a forecast. It predicts the steps that are not seen, as changes since the last one that is."""
    numbers: Mapping[str, Array] = field(default_factory=dict)
    """Further numbers of each cell by name, (C,)."""

    def rows(self, ids: Sequence[str]) -> Array:
        """The places of some cells."""
        return rows_of(self.cells.cells, ids)

    def shown(self, ids: Sequence[str]) -> list[list[Track]]:
        """For each column, what is shown of these cells."""
        tracks = self.cells.of(ids)
        return [[show(track) for track in tracks] for show in self.columns.values()]

    def predicted(self, track: Track) -> Array:
        """The steps that are predicted, (T,)."""
        return ~track.seen if self.relative else np.ones(len(track), bool)

    def answer(self, ids: Sequence[str], model: Outputs) -> Array:
        """Outputs of a model in the rows and columns of the table. Before its own cut a forecast holds its base."""
        shown = self.shown(ids)
        return self._table(shown, [model(tracks) for tracks in shown], lambda track: track.base)

    def targets(self, ids: Sequence[str]) -> Array:
        """The truth in the rows and columns of the table; NaN where it is not known or not asked for."""
        shown = self.shown(ids)
        known = [[np.where(track.scored, track.target, np.nan) for track in tracks] for tracks in shown]
        return self._table(shown, known, lambda track: np.nan)

    def _table(
        self, shown: list[list[Track]], values: list[list[Array]], filler: Callable[[Track], float]
    ) -> Array:
        """(rows, columns): cell after cell, the steps that the first column predicts."""
        blocks = []
        for tracks, held in zip(zip(*shown, strict=True), zip(*values, strict=True), strict=True):
            steps = tracks[0].steps[self.predicted(tracks[0])]
            block = np.empty((len(steps), len(tracks)))
            for column, (track, value) in enumerate(zip(tracks, held, strict=True)):
                ahead = self.predicted(track)
                block[:, column] = filler(track)
                block[np.searchsorted(steps, track.steps[ahead]), column] = value[ahead]
            blocks.append(block)
        return np.concatenate(blocks)


def table(view: View, ids: Sequence[str], outputs: Array, part: Split) -> Predictions:
    """One row per step: its id is cell/step, its subject is the cell."""
    first = [track.take(np.flatnonzero(view.predicted(track))) for track in view.shown(ids)[0]]
    return Predictions.build(
        "regression",
        part,
        ids=[f"{track.cell}/{step}" for track in first for step in track.steps],
        subjects=[track.cell for track in first for _ in track.steps],
        targets=view.targets(ids),
        outputs=outputs,
        names=tuple(view.columns),
        time=np.concatenate([track.time for track in first]),
        time_unit=view.cells.unit,
    )
