"""A track holds the observations of a cell at its own times; a batch pads tracks.

Shapes: B tracks, T steps, F inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from homeostat.data.ragged import Array


@dataclass(frozen=True, kw_only=True)
class Track:
    """T steps of one cell."""

    cell: str
    steps: Array
    """Number of each step in the cell's own record, from 1, (T,)."""
    time: Array
    """(T,), in the unit of the data."""
    inputs: Array
    """(T, F); NaN where not measured."""
    target: Array
    """(T,); NaN where not known."""
    seen: Array
    """(T,), whether the inputs of the step may be used. The state flows on where they may not."""
    scored: Array
    """(T,), whether the step counts in losses and scores."""
    base: float = 0.0
    """The last value seen, which a forecast starts from."""

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: Array) -> Track:
        """Some steps of the track, in order."""
        return replace(
            self,
            steps=self.steps[rows],
            time=self.time[rows],
            inputs=self.inputs[rows],
            target=self.target[rows],
            seen=self.seen[rows],
            scored=self.scored[rows],
        )


def whole(cell: str, time: Array, inputs: Array, target: Array) -> Track:
    """A track whose every measured step may be used and whose every known target counts."""
    return Track(
        cell=cell,
        steps=np.arange(1, len(time) + 1),
        time=np.asarray(time, np.float64),
        inputs=np.asarray(inputs, np.float64),
        target=np.asarray(target, np.float64),
        seen=np.asarray(np.isfinite(inputs).any(axis=1)),
        scored=np.isfinite(target),
    )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tracks padded at their end. What `valid` excludes is filler: it may hold anything and changes nothing."""

    ids: Tensor  # (B,)
    x: Tensor  # (B, T, F)
    t: Tensor  # (B, T), since the track's first step: days since 1970 would not survive float32
    seen: Tensor  # (B, T)
    valid: Tensor  # (B, T)
    target: Tensor  # (B, T), zero where not scored
    scored: Tensor  # (B, T)
    base: Tensor  # (B,)


def batch_of(tracks: Sequence[Track], ids: Sequence[int] | None = None, *, width: int = 0) -> Batch:
    """Pad to the longest track, or to `width` if that is longer."""
    width = max(width, *(len(track) for track in tracks))
    valid = torch.zeros(len(tracks), width, dtype=torch.bool)
    x = torch.zeros(len(tracks), width, tracks[0].inputs.shape[1])
    t = torch.zeros(len(tracks), width)
    target, seen, scored = torch.zeros(len(tracks), width), valid.clone(), valid.clone()
    for row, track in enumerate(tracks):
        length = len(track)
        valid[row, :length] = True
        x[row, :length] = torch.from_numpy(track.inputs.astype(np.float32))
        t[row, :length] = torch.from_numpy((track.time - track.time[0]).astype(np.float32))
        t[row, length:] = t[row, length - 1]
        seen[row, :length] = torch.from_numpy(track.seen)
        scored[row, :length] = torch.from_numpy(track.scored)
        target[row, :length] = torch.from_numpy(np.where(track.scored, track.target, 0.0).astype(np.float32))
    return Batch(
        ids=torch.as_tensor(list(range(len(tracks)) if ids is None else ids)),
        x=x,
        t=t,
        seen=seen,
        valid=valid,
        target=target,
        scored=scored,
        base=torch.tensor([track.base for track in tracks], dtype=torch.float32),
    )
