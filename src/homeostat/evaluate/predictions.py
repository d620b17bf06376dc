"""A prediction file holds one row per prediction: id, subject, truth and output of every target."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from homeostat.errors import DataError
from homeostat.files import replacing
from homeostat.run import sealed

# Raised when the columns change their meaning; a file of another format is refused, not guessed at.
FORMAT = 1
Kind = Literal["binary", "multilabel", "regression"]
Split = Literal["train", "valid", "test", "out-of-fold", "new"]
"""The rows of `out-of-fold` were predicted by models that had not seen their subject; `new` rows have no truth."""
BEST_FIRST: tuple[Split, ...] = ("test", "out-of-fold", "valid", "train")
"""A headline is from the first of these splits that was predicted."""
Strings = NDArray[np.str_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """n rows, k targets. A NaN in `targets` is an unknown truth and is left out of every score."""

    kind: Kind
    split: Split
    ids: Strings
    subjects: Strings
    names: tuple[str, ...]
    targets: Floats  # (n, k)
    outputs: Floats  # (n, k), probabilities when the kind is binary or multilabel
    time: Floats | None = None  # (n,), makes a regression a trajectory
    groups: Mapping[str, Strings] = field(default_factory=dict)
    """Attributes for subgroups (sex, age band, centre), already cut into bands."""
    model: str = "model"
    seed: int | None = None
    unit: str = ""
    time_unit: str = ""
    selected: str = ""
    """The rule that chose the predicting state, e.g. "best valid/auroc, epoch 7"."""
    source: str = ""
    """Digest of the state that predicted, where one run keeps it."""

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def build(
        cls,
        kind: Kind,
        split: Split,
        *,
        ids: Sequence[Any] | NDArray[Any],
        targets: ArrayLike | None,
        outputs: ArrayLike,
        subjects: Sequence[Any] | NDArray[Any] | None = None,
        names: Sequence[str] = ("y",),
        time: ArrayLike | None = None,
        groups: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
        **meta: Any,
    ) -> Predictions:
        """Build from plain arrays: one target may be one-dimensional, and ids of any type become strings."""
        if len(ids) == 0:
            raise DataError(f"There is no prediction of split {split!r}.")
        columns = _columns(outputs)
        return cls(
            kind=kind,
            split=split,
            ids=_strings(ids),
            subjects=_strings(ids if subjects is None else subjects),
            names=tuple(names),
            targets=np.full_like(columns, np.nan) if targets is None else _columns(targets),
            outputs=columns,
            time=None if time is None else np.asarray(time, np.float64),
            groups={name: _strings(values) for name, values in (groups or {}).items()},
            **meta,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[Any]) -> Predictions:
        """Return the predictions of some rows (a boolean mask or indices)."""
        return replace(
            self,
            ids=self.ids[rows],
            subjects=self.subjects[rows],
            targets=self.targets[rows],
            outputs=self.outputs[rows],
            time=None if self.time is None else self.time[rows],
            groups={name: values[rows] for name, values in self.groups.items()},
        )

    def one(self, name: str) -> Predictions:
        """Return one target alone, without the rows whose truth is unknown."""
        column = self.names.index(name)
        kind: Kind = "binary" if self.kind == "multilabel" else self.kind
        alone = replace(
            self,
            kind=kind,
            names=(name,),
            targets=self.targets[:, column : column + 1],
            outputs=self.outputs[:, column : column + 1],
        )
        return alone.take(np.isfinite(alone.targets[:, 0]))

    @property
    def truth(self) -> Floats:
        """Return the only target's truth (n,)."""
        return self._only(self.targets)

    @property
    def output(self) -> Floats:
        """Return the only target's output (n,)."""
        return self._only(self.outputs)

    def _only(self, columns: Floats) -> Floats:
        if columns.shape[1] != 1:
            raise DataError(f"{len(self.names)} targets ({', '.join(self.names)}): pick one with .one(name).")
        return columns[:, 0]


def write(predictions: Predictions, path: Path, source: Mapping[str, str] | None = None) -> Path:
    """Write a prediction file: a reader sees the whole file or none. `source`: digests of what predicted them."""
    table = io.BytesIO()  # polars raises a full disk without its number, so it would not be known
    _frame(predictions).write_parquet(table, metadata={"homeostat": json.dumps(_meta(predictions))})
    return sealed.write(path, table.getbuffer(), source)


def write_csv(predictions: Predictions, path: Path) -> Path:
    """Write the rows as text, with the name of the model; for people and spreadsheets, not for `read`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as scratch:
        text = _frame(predictions).with_columns(model=pl.lit(predictions.model)).write_csv()
        scratch.write_text(text, encoding="utf-8")  # polars itself would not say why a disk refuses
    return path


def read(path: Path) -> Predictions:
    """Read and check a prediction file."""
    if not sealed.has(path):
        raise DataError(
            f"{path} does not exist. A run writes its predictions at its end: `homeostat resume` it."
        )
    data = sealed.read(path)
    try:
        meta = json.loads(pl.read_parquet_metadata(io.BytesIO(data))["homeostat"])
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} is not a prediction file of Homeostat ({error!r}). Predict again."
        ) from error
    if meta.get("format") != FORMAT:
        raise DataError(
            f"{path} has prediction format {meta.get('format')!r}, this version reads {FORMAT}. Predict again."
        )
    try:
        return _parse(frame, meta)
    except (pl.exceptions.PolarsError, KeyError, DataError) as error:
        raise DataError(f"{path}: {error}") from error


def _frame(p: Predictions) -> pl.DataFrame:
    columns: dict[str, Any] = {"id": p.ids, "subject": p.subjects}
    if p.time is not None:
        columns["time"] = p.time
    for column, name in enumerate(p.names):
        columns[f"target/{name}"] = p.targets[:, column]
        columns[f"output/{name}"] = p.outputs[:, column]
    columns |= {f"group/{name}": values for name, values in p.groups.items()}
    if p.split == "new":  # they leave the run, so each row says who predicted it
        columns["model"] = [p.model] * len(p)
    return pl.DataFrame(columns)


_META = ("kind", "split", "model", "seed", "unit", "time_unit", "selected", "source")


def _meta(p: Predictions) -> dict[str, Any]:
    return {"format": FORMAT, "names": list(p.names)} | {name: getattr(p, name) for name in _META}


def _parse(frame: pl.DataFrame, meta: Mapping[str, Any]) -> Predictions:
    # From the metadata, not from the columns: a target may have any name, such as one with a slash.
    names = tuple(meta["names"])

    def stack(kind: str) -> Floats:
        return np.column_stack([frame[f"{kind}/{name}"].to_numpy() for name in names]).astype(np.float64)

    return Predictions(
        ids=_strings(frame["id"].to_numpy()),
        subjects=_strings(frame["subject"].to_numpy()),
        names=names,
        targets=stack("target"),
        outputs=stack("output"),
        time=frame["time"].to_numpy().astype(np.float64) if "time" in frame.columns else None,
        groups={
            c.removeprefix("group/"): _strings(frame[c].to_numpy())
            for c in frame.columns
            if c.startswith("group/")
        },
        **{name: meta[name] for name in _META if name in meta},
    )


def _strings(values: Sequence[Any] | NDArray[Any]) -> Strings:
    return np.asarray([str(value) for value in np.asarray(values).tolist()], dtype=np.str_)


def _columns(values: ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    return array[:, None] if array.ndim == 1 else array


def _check(p: Predictions) -> None:
    if p.kind not in get_args(Kind):
        raise DataError(f"Prediction kind {p.kind!r} is unknown. Known: {', '.join(get_args(Kind))}.")
    if p.split not in get_args(Split):
        raise DataError(f"Split {p.split!r} is unknown. Known: {', '.join(get_args(Split))}.")
    _check_shapes(p)
    _check_values(p)


def _check_shapes(p: Predictions) -> None:
    n = len(p.ids)
    shape = (n, len(p.names))
    for what, array in (("targets", p.targets), ("outputs", p.outputs)):
        if array.shape != shape:
            raise DataError(
                f"{what} have shape {array.shape}, but {n} ids and {shape[1]} names ask for {shape}."
            )
    lengths = {"subjects": len(p.subjects)} | {
        f"group {name!r}": len(values) for name, values in p.groups.items()
    }
    lengths |= {} if p.time is None else {"time": len(p.time)}
    for what, length in lengths.items():
        if length != n:
            raise DataError(f"{what} has {length} rows, but there are {n} ids.")
    if p.kind == "binary" and shape[1] != 1:
        raise DataError(
            f"A binary prediction has one target, got {shape[1]}. Several yes/no targets are 'multilabel'."
        )


def _check_values(p: Predictions) -> None:
    # An id that occurs twice counts twice in every score, and a paired comparison would not know which row is meant.
    unique, counts = np.unique(p.ids, return_counts=True)
    if len(unique) < len(p):
        raise DataError(
            f"Id '{unique[counts.argmax()]}' occurs {counts.max()} times; every prediction needs its own id."
        )
    bad = ~np.isfinite(p.outputs).all(axis=1)
    if bad.any():
        raise DataError(
            f"{bad.sum()} outputs are not finite, the first has id '{p.ids[bad.argmax()]}'. "
            "Run `homeostat doctor` on the run that wrote them."
        )
    if np.isinf(p.targets).any():
        raise DataError("A target is infinite. Use NaN for an unknown truth.")
    if p.time is not None and not np.isfinite(p.time).all():
        raise DataError("A time is not finite; every row of a trajectory needs its time.")
    if p.kind == "regression" or len(p) == 0:
        return
    if p.outputs.min() < 0 or p.outputs.max() > 1:
        raise DataError(
            f"Outputs lie in [{p.outputs.min():.3g}, {p.outputs.max():.3g}], but {p.kind} outputs are "
            "probabilities. Apply the sigmoid before writing."
        )
    if not np.isin(p.targets[np.isfinite(p.targets)], (0.0, 1.0)).all():
        raise DataError(f"{p.kind} targets are 0, 1 or NaN (unknown). Found other values.")
