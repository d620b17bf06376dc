"""Exhausted memory, and the pieces that a batch is cut into because of it."""

from __future__ import annotations

import numpy as np
import torch

from homeostat.data.batches import Indices
from homeostat.errors import OutOfResources


def doubled(pieces: int, rows: int) -> int:
    """Return twice as many pieces per batch, or say that a single sample is already too large."""
    if pieces >= rows:
        raise OutOfResources(
            "One sample alone does not fit into memory. Use a smaller model or shorter samples, or another device."
        )
    # Blocks that the allocator keeps are cut for the larger pieces.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return min(2 * pieces, rows)


def cut(rows: Indices, pieces: int) -> list[Indices]:
    """Cut the rows of a batch into pieces of nearly equal size, in order, none of them empty."""
    if len(rows) == 0:
        return []
    # np.array_split takes 25 us even for one piece, the largest single overhead of a step of 1 ms (log/engine.md).
    return [rows] if pieces == 1 else np.array_split(rows, min(pieces, len(rows)))
