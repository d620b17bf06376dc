"""Shift and scale each variable so that its training values are comparable; remember on whom that was fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from homeostat.data.fingerprint import digest_bytes
from homeostat.data.ragged import Array
from homeostat.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """The map (value - shift) / scale per variable, the last axis; count and digest name the ids of its fit."""

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
        """Fit mean and standard deviation over all axes but the last, on finite values that the mask keeps.

        A variable that never varies keeps a scale of 1: dividing by a rounding error would blow it up.
        """
        # In double precision: a sum of millions of float32 loses digits of the mean.
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
        """Scale in the precision of `values`."""
        shift, scale = (np.asarray(part, dtype=values.dtype) for part in (self.shift, self.scale))
        return np.asarray((values - shift) / scale)

    def check_ids(self, ids: Sequence[str]) -> Self:
        """Return itself when it was fitted on exactly these ids."""
        if digest_ids(ids) != self.ids_digest:
            raise DataError(
                f"The scaler was fitted on {self.ids:,} {self.fitted_on} ids, not on the {len(ids):,} given "
                "ones. Fit it on the training ids of this split."
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON holds without loss."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild the scaler from its plain values."""
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
        return cls(**values)


def digest_ids(ids: Sequence[str]) -> str:
    """Return a digest that is the same for the same ids in any order."""
    return digest_bytes("\n".join(sorted(ids)).encode())
