"""Predictions of steps along time, gathered over folds, and written as one file per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from homeostat.data.ragged import Array
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.recipes.battery.track import Track
from homeostat.run import Run


@dataclass(frozen=True)
class Rows:
    """Outputs of one model and split, track by track. Tracks of one cell under several names become columns."""

    tracks: list[Track] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)

    def add(self, tracks: Sequence[Track], outputs: Sequence[Array]) -> None:
        """Append the outputs of some tracks."""
        self.tracks.extend(tracks)
        self.outputs.extend(outputs)


Table = dict[tuple[str, Split], Rows]


def put(table: Table, model: str, split: Split, tracks: Sequence[Track], outputs: Sequence[Array]) -> None:
    """Append outputs to a model's rows of one split."""
    table.setdefault((model, split), Rows()).add(tracks, outputs)


def to_predictions(
    rows: Rows, model: str, split: Split, *, target: str, time_unit: str, selected: str = ""
) -> Predictions:
    """One row per step: id is cell/step, the subject is the cell."""
    tracks = rows.tracks
    return Predictions.build(
        "regression",
        split,
        ids=np.concatenate([[f"{track.cell}/{step}" for step in track.steps] for track in tracks]),
        subjects=np.concatenate([[track.cell] * len(track) for track in tracks]),
        targets=np.concatenate([np.where(track.scored, track.target, np.nan) for track in tracks]),
        outputs=np.concatenate(rows.outputs),
        names=(target,),
        time=np.concatenate([track.time for track in tracks]),
        model=model,
        time_unit=time_unit,
        selected=selected,
    )


def file_of(run: Run, model: str, split: str, main: str) -> Path:
    """predictions/test.parquet for the model of the run, predictions/test-MODEL.parquet for a yard-stick."""
    return run.predictions / (f"{split}.parquet" if model == main else f"{split}-{model}.parquet")


def write(run: Run, made: Mapping[tuple[str, Split], Predictions], main: str) -> None:
    """Write each model's predictions of each split."""
    for (model, split), each in made.items():
        predictions.write(each, file_of(run, model, split, main))
