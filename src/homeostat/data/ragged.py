"""Keep series of unequal length in one array, and gather them into a padded batch without a loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from homeostat.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length: row i is `values[offsets[i] : offsets[i + 1]]`.

    A row may be empty and may have trailing dimensions.
    """

    values: Array
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_offsets(self.offsets, len(self.values))

    @classmethod
    def of(cls, rows: Sequence[Array]) -> Self:
        values = np.concatenate(rows) if rows else np.empty(0, dtype=np.float32)
        return cls(values, offsets_of([len(row) for row in rows]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Array:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} rows")
        row %= len(self)
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def take(self, rows: Array) -> "Ragged":
        """Return the given rows, in the given order, still ragged."""
        counts = self.lengths[rows]
        return Ragged(self.values[flat_index(self.offsets, rows)], offsets_of(counts))

    def pad(
        self, rows: Array, *, length: int | None = None, fill: float = 0
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Return (values, mask), both (row, position, ...); the mask is true where a value is real."""
        index, mask = padded_index(self.offsets, rows, length=length)
        return gather(self.values, index, mask, fill=fill), mask


def offsets_of(lengths: Array | Sequence[int]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def padded_index(
    offsets: NDArray[np.int64], rows: Array, *, length: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the place of position j of row i in the long array, and a mask that is true where it exists.

    One index gathers several long arrays that share offsets (time, variable, value).
    `length` fixes the width; longer rows lose their end, so give it only when that is meant.
    """
    first = offsets[rows]
    counts = offsets[np.asarray(rows) + 1] - first
    width = int(counts.max(initial=0)) if length is None else length
    position = np.arange(width, dtype=np.int64)
    mask = position < counts[:, None]
    # Place 0 for padding: an index must point somewhere, and `gather` overwrites what it finds there.
    return np.where(mask, first[:, None] + position, 0), mask


def gather(values: Array, index: NDArray[np.int64], mask: NDArray[np.bool_], *, fill: float = 0) -> Array:
    """Return the padded values at `index`; outside the mask they are `fill`, whatever the long array holds there."""
    # There is no place 0 then.
    if len(values) == 0:
        return np.full(index.shape + values.shape[1:], fill, dtype=values.dtype)
    padded = np.asarray(values[index])
    # Always: place 0 holds a value of the first row, which padding must never show.
    padded[~mask] = fill
    return padded


def flat_index(offsets: NDArray[np.int64], rows: Array) -> NDArray[np.int64]:
    """Return the places in the long array of all values of the given rows, one after the other."""
    rows = np.asarray(rows)
    counts = offsets[rows + 1] - offsets[rows]
    total = int(counts.sum())
    shift = np.repeat(offsets[rows] - (np.cumsum(counts) - counts), counts)
    index: NDArray[np.int64] = np.arange(total, dtype=np.int64) + shift
    return index


def check_offsets(offsets: NDArray[np.int64], size: int) -> None:
    sound = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == size
    if not sound or bool((np.diff(offsets) < 0).any()):
        raise DataError(
            f"Offsets do not cut {size:,} values into rows: they must start at 0, never fall and end at "
            f"{size:,}. Write the two arrays together with Writer.ragged."
        )
