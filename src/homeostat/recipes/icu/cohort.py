"""Stays as a network sees them: observations of normalised values, some of them hidden on purpose.

B stays in a batch, N observations of all of them in one row after the other, T moments of the longest stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from homeostat.data.batches import Indices
from homeostat.data.curves import Curves
from homeostat.data.ragged import Array, flat_index, padded_index
from homeostat.data.scaling import Scaler
from homeostat.data.store import Store

HOURS = 48.0
"""One unit of the model's time. Later observations are left out, because the prediction is for this hour."""

UNKNOWN_STATIC = 0.0
HORIZONS_D = (3, 10, 30, 180, 1000)
"""Further outcomes: death within so many days of admission, where the data hold it."""
SCORES = ("saps_1", "sofa", "stay_days")
UNDATED_DEATH_D = 8.0
"""Days to a death in hospital without a date: the median of those with one, in set a."""


@dataclass(frozen=True)
class Batch:
    """Times are in units of 48 h. Observations are in order of stay and time."""

    ids: Tensor  # (B,) row of the stay
    owner: Tensor  # (N,) place of the stay in the batch
    step: Tensor  # (N,) place of the moment in the stay
    time: Tensor  # (N,)
    variable: Tensor  # (N,)
    value: Tensor  # (N,)
    seen: Tensor  # (N,) False: hidden from the encoder, to be reconstructed
    moments: Tensor  # (B, T) distinct observation times; padded
    real: Tensor  # (B, T) False for padding
    static: Tensor  # (B, S)
    label: Tensor  # (B,) NaN where not known
    scores: Tensor  # (B, 3) standardised, NaN where not known
    within: Tensor  # (B, 5) death within HORIZONS_D, NaN where not known
    epoch: int = 0


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """All stays of a store, normalised, ready to be gathered."""

    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    groups: tuple[str, ...]
    variables: int
    owner: Array
    step: Array
    time: Array
    variable: Array
    value: Array
    offsets: Array
    moments: Array
    moment_offsets: Array
    static: Array
    label: Array
    scores: Array
    within: Array
    survival_d: Array
    """Days until death, infinite for who was alive when last seen; NaN where the outcome is not known."""

    def gather(self, rows: Indices) -> Batch:
        flat = flat_index(self.offsets, rows)
        counts = self.offsets[rows + 1] - self.offsets[rows]
        index, real = padded_index(self.moment_offsets, rows)
        moments = self.moments[index] if len(self.moments) else np.zeros(index.shape, np.float32)
        return Batch(
            ids=torch.from_numpy(rows.astype(np.int64)),
            owner=torch.from_numpy(np.repeat(np.arange(len(rows)), counts)),
            step=torch.from_numpy(self.step[flat]),
            time=torch.from_numpy(self.time[flat]),
            variable=torch.from_numpy(self.variable[flat]),
            value=torch.from_numpy(self.value[flat]),
            seen=torch.ones(len(flat), dtype=torch.bool),
            moments=torch.from_numpy(np.where(real, moments, 0).astype(np.float32)),
            real=torch.from_numpy(real),
            static=torch.from_numpy(self.static[rows]),
            label=torch.from_numpy(self.label[rows]),
            scores=torch.from_numpy(self.scores[rows]),
            within=torch.from_numpy(self.within[rows]),
        )


def load(store: Store, curves: Curves, static_scaler: Scaler) -> Cohort:
    """The store's stays as a model with these curves sees them; variables that it never saw are left out."""
    cells, steps = store.ragged("value"), store.ragged("time_h")
    owner = np.repeat(np.arange(len(cells)), cells.lengths)
    step = np.asarray(store["step"], dtype=np.int64)
    time = np.asarray(steps.values[steps.offsets[owner] + step]) / HOURS
    variable = curves.order(store.meta["variables"])[store["variable"]]
    keep = np.flatnonzero((variable >= 0) & (time <= 1))
    offsets = np.zeros(len(cells) + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner[keep], minlength=len(cells)), out=offsets[1:])
    scores, survival = outcomes(store)
    within = (survival[:, None] <= np.array(HORIZONS_D)).astype(np.float32)
    within[np.isnan(survival)] = np.nan
    return Cohort(
        ids=tuple(map(str, store["stay"])),
        subjects=tuple(map(str, store["subject"])),
        groups=tuple(map(str, store["group"])),
        variables=len(curves.names),
        owner=owner[keep],
        step=step[keep],
        time=time[keep].astype(np.float32),
        variable=variable[keep],
        value=curves.transform(np.asarray(store["value"])[keep], variable[keep]),
        offsets=offsets,
        moments=np.minimum(np.asarray(steps.values) / HOURS, 1).astype(np.float32),
        moment_offsets=steps.offsets,
        static=describe(store, static_scaler),
        label=np.asarray(store["label"], dtype=np.float32),
        scores=scores,
        within=within,
        survival_d=dated(survival, np.asarray(store["label"])),
    )


def fit_curves(store: Store, rows: Array) -> Curves:
    """Curves of the observations of the training rows."""
    cells = store.ragged("value")
    flat = flat_index(cells.offsets, rows)
    return Curves.fit(
        np.asarray(store["value"])[flat],
        np.asarray(store["variable"])[flat],
        names=store.meta["variables"],
        ids=[str(store["stay"][row]) for row in rows],
    )


def numeric_static(names: Sequence[str]) -> list[str]:
    """ICUType is a name written as a number; it gets a column per type instead."""
    return [name for name in names if name != "ICUType"]


def fit_static(store: Store, rows: Array) -> Scaler:
    names = store.meta["static_names"]
    columns = [names.index(name) for name in numeric_static(names)]
    values = np.asarray(store["static"])[rows][:, columns]
    # A descriptor that no training stay has is a column of zeros, not an error.
    values = np.where(np.isfinite(values).any(axis=0), values, UNKNOWN_STATIC)
    return Scaler.fit(values, names=numeric_static(names), ids=[str(store["stay"][row]) for row in rows])


def describe(store: Store, scaler: Scaler) -> Array:
    """(stays, columns): scaled descriptors, whether each is known, and a column per type of unit."""
    names = list(store.meta["static_names"])
    held = np.asarray(store["static"], dtype=np.float32)
    absent = np.full(len(held), np.nan, dtype=np.float32)
    columns = np.stack([held[:, names.index(n)] if n in names else absent for n in scaler.names], axis=1)
    known = np.isfinite(columns)
    scaled = np.where(known, np.clip(scaler.transform(columns), -4, 4), 0)
    unit = held[:, names.index("ICUType")] if "ICUType" in names else absent
    units = np.stack([unit == kind for kind in (1, 2, 3, 4)], axis=1)
    return np.concatenate([scaled, known, units], axis=1).astype(np.float32)


def outcomes(store: Store) -> tuple[Array, Array]:
    """Severity scores and days until death, as far as the data set holds them. They are never inputs."""
    label = np.asarray(store["label"], dtype=np.float32)
    none = np.full(len(label), np.nan)
    scores = np.stack([np.asarray(store[name]) if name in store else none for name in SCORES], axis=1)
    scores[:, SCORES.index("stay_days")] = np.log1p(np.maximum(scores[:, SCORES.index("stay_days")], 0))
    if "survival_days" not in store:
        return scores.astype(np.float32), none
    survival = np.asarray(store["survival_days"])
    # No date of death: alive at last sight, unless the stay itself ended in death.
    return scores.astype(np.float32), np.where(np.isnan(survival) & (label == 0), np.inf, survival)


def dated(survival: Array, label: Array) -> Array:
    """Days until death of every stay with known outcome, also where the data set holds no dates."""
    days: Array = np.where(np.isnan(survival), np.where(label == 1, UNDATED_DEATH_D, np.inf), survival)
    return np.where(np.isnan(label), np.nan, days)


def standardise(cohort: Cohort, rows: Array) -> Cohort:
    """Scores with mean 0 and deviation 1 over the training rows."""
    known = np.isfinite(cohort.scores[rows])
    count = np.maximum(known.sum(axis=0), 1)
    held = np.where(known, cohort.scores[rows], 0)
    mean = held.sum(axis=0) / count
    spread = np.sqrt((np.where(known, held - mean, 0) ** 2).sum(axis=0) / count)
    return replace(cohort, scores=((cohort.scores - mean) / np.maximum(spread, 1e-6)).astype(np.float32))
