"""Boosted trees on the summary statistics of a stay, for death in hospital or for days until death.

On these data trees beat most published neural networks, so no score of a network stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from homeostat.data.ragged import Array
from homeostat.methods import yardstick
from homeostat.methods.ensemble import probability
from homeostat.methods.method import Method
from homeostat.recipes.icu.cohort import Batch
from homeostat.recipes.icu.summary import BASIC, QUARTERS, quarters, statistics
from homeostat.recipes.icu.view import View

if TYPE_CHECKING:
    from xgboost import Booster

Kind = Literal["xgboost", "survival"]
"""Death in hospital, or days until death (Cox): a death after discharge says that the stay was a grave one."""
SCORING_SIZE = 512
ROUNDS = 350
# Shallow trees that each see a quarter of 700 columns: chosen by cross-validation inside set a, and flat around here.
SETTINGS = {
    "max_depth": 4,
    "eta": 0.03,
    "subsample": 0.6,
    "colsample_bytree": 0.25,
    "min_child_weight": 5,
    "lambda": 5,
    "tree_method": "hist",
}

OBJECTIVES: Mapping[Kind, str] = {"xgboost": "binary:logistic", "survival": "survival:cox"}
SHORTEST_D, LONGEST_D = 0.5, 2000.0
"""Days until a death on admission. A death later than the second number counts as none."""
OFFSET = "offset"


def method(kind: Kind) -> Method[View]:
    """Trees of one kind; the hazards of survival become probabilities by a constant."""
    return yardstick.trees(
        kind,
        columns=columns,
        targets=partial(targets, kind),
        settings={**SETTINGS, "objective": OBJECTIVES[kind]},
        rounds=ROUNDS,
        finish=calibrate if kind == "survival" else None,
        answer=lambda margins, numbers: probability(margins + numbers.get(OFFSET, 0.0)),
    )


def columns(view: View, ids: Sequence[str]) -> Array:
    """(stays, columns): statistics, missing where a variable was not seen, and descriptors."""
    cohort, rows = view.cohort, view.rows(ids)
    parts = []
    for start in range(0, len(rows), SCORING_SIZE):
        batch = cohort.gather(rows[start : start + SCORING_SIZE])
        parts.append(torch.cat([seen_statistics(batch, cohort.variables).flatten(1), batch.static], 1))
    return torch.cat(parts).numpy()


def seen_statistics(batch: Batch, variables: int) -> Tensor:
    """(B, V, K), NaN where nothing was seen. Trees send a missing value their own way, which a zero would deny them."""
    values = statistics(batch, variables)
    unseen = values[..., BASIC.index("seen"), None] == 0
    is_meaningful = torch.tensor([name in ("count", "seen") for name in BASIC])
    always = torch.zeros(values.shape[-1], dtype=torch.bool)
    always[: len(BASIC)] = is_meaningful
    values = values.masked_fill(unseen & ~always, np.nan)
    _, quarter = quarters(batch, variables)
    values[..., -QUARTERS:] = values[..., -QUARTERS:].masked_fill(
        ~quarter.view(len(batch.ids), variables, QUARTERS), np.nan
    )
    return values


def targets(kind: Kind, view: View, ids: Sequence[str]) -> Array:
    """Death in hospital, or for Cox's likelihood days until death, negative for who was alive then. NaN: not known."""
    cohort, rows = view.cohort, view.rows(ids)
    label: Array = cohort.label[rows]
    if kind == "xgboost":
        return label
    days = np.maximum(cohort.survival_d[rows], SHORTEST_D)
    return np.where(np.isnan(label), np.nan, np.where(days <= LONGEST_D, days, -LONGEST_D))


def calibrate(booster: Booster, view: View, ids: Sequence[str]) -> Mapping[str, float]:
    """The constant that gives the training stays their mean probability."""
    label = view.cohort.label[view.rows(ids)]
    known = np.isfinite(label)
    hazard = booster.predict(yardstick.matrix(columns(view, ids)[known]), output_margin=True).astype(
        np.float64
    )
    return {OFFSET: offset(hazard, float(label[known].mean()))}


def offset(hazard: Array, rate: float) -> float:
    """The constant that turns logarithms of hazards into logits whose mean probability is the rate, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(hazard + middle).mean() < rate else (low, middle)
    return low
