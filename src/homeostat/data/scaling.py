"""Which shift and scale make each variable's training values comparable, and on whom were they fitted?"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from homeostat.data.fingerprint import digest_bytes
from homeostat.data.ragged import Array
from homeostat.errors import DataError
from homeostat.files import replacing


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """(value - shift) / scale per variable, the last axis; names the ids of its fit by count and digest."""

    names: tuple[str, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    fitted_on: str
    ids: int
    ids_digest: str

    @classmethod
    def fit(
        cls,
        values: Array,
        *,
        names: Sequence[str],
        ids: Sequence[str],
        mask: Array | None = None,
        fitted_on: str = "train",
    ) -> Self:
        """Mean and standard deviation over all axes but the last, of masked-in finite values only.

        A variable that never varies keeps its scale of 1: dividing by a rounding error would blow it up.
        """
        flat = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
        seen = np.isfinite(flat) if mask is None else np.broadcast_to(mask, values.shape).reshape(flat.shape)
        count = seen.sum(axis=0)
        if (count == 0).any():
            name = names[int(np.argmin(count))]
            raise DataError(
                f"{name} has no value among the {len(ids):,} {fitted_on} ids. Leave it out of the inputs."
            )
        shift = np.where(seen, flat, 0).sum(axis=0) / count
        spread = np.sqrt((np.where(seen, flat - shift, 0) ** 2).sum(axis=0) / count)
        scale = np.where(spread > 1e-9 * (1 + np.abs(shift)), spread, 1.0)
        return cls(
            names=tuple(names),
            shift=tuple(shift.tolist()),
            scale=tuple(scale.tolist()),
            fitted_on=fitted_on,
            ids=len(ids),
            ids_digest=digest_ids(ids),
        )

    def transform(self, values: Array) -> Array:
        """In the precision of `values`."""
        shift, scale = (np.asarray(part, dtype=values.dtype) for part in (self.shift, self.scale))
        return np.asarray((values - shift) / scale)

    def inverse(self, values: Array) -> Array:
        shift, scale = (np.asarray(part, dtype=values.dtype) for part in (self.shift, self.scale))
        return np.asarray(values * scale + shift)

    def check_ids(self, ids: Sequence[str]) -> Self:
        """Returns itself when it was fitted on exactly these ids."""
        if digest_ids(ids) != self.ids_digest:
            raise DataError(
                f"The scaler was fitted on {self.ids:,} {self.fitted_on} ids, not on the {len(ids):,} given "
                "ones. Fit it on the training ids of this split."
            )
        return self

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: dict[str, object]) -> Self:
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in told.items()})  # type: ignore[arg-type]  # checked by use

    def save(self, path: Path) -> None:
        """Write the scaler, whole or not at all: a killed run leaves no half file to resume from."""
        with replacing(path) as scratch:
            scratch.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False))

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.from_dict(json.loads(path.read_text()))


def digest_ids(ids: Sequence[str]) -> str:
    """The same for the same set of ids in any order."""
    return digest_bytes("\n".join(sorted(ids)).encode())
