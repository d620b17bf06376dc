"""The yard-stick: boosted trees on the summary statistics of a stay, for death in hospital or for days until death.

On these data trees beat most published neural networks, so no score of a network stands alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
import xgboost
from torch import Tensor

from homeostat.data.ragged import Array
from homeostat.recipes.icu.cohort import Batch, Cohort
from homeostat.recipes.icu.summary import BASIC, QUARTERS, quarters, statistics

Kind = Literal["xgboost", "survival"]
"""Death in hospital, or days until death (Cox): a death after discharge says that the stay was a grave one."""
SCORING_SIZE = 512
ROUNDS = 350
# Shallow trees that each see a quarter of 700 columns: found by cross-validation inside set a, and flat around here.
SETTINGS = {
    "max_depth": 4,
    "eta": 0.03,
    "subsample": 0.6,
    "colsample_bytree": 0.25,
    "min_child_weight": 5,
    "lambda": 5,
    "tree_method": "hist",
}

OBJECTIVES = {"xgboost": "binary:logistic", "survival": "survival:cox"}
SHORTEST_D, LONGEST_D = 0.5, 2000.0
"""Days of who died on admission; a later death than the second says no more than none."""
OFFSET = "offset"


def columns(cohort: Cohort, rows: Array) -> Array:
    """(rows, columns): statistics, missing where a variable was not seen, and descriptors."""
    parts = []
    for start in range(0, len(rows), SCORING_SIZE):
        batch = cohort.gather(rows[start : start + SCORING_SIZE])
        parts.append(torch.cat([told(batch, cohort.variables).flatten(1), batch.static], 1))
    return torch.cat(parts).numpy()


def told(batch: Batch, variables: int) -> Tensor:
    """Trees send a missing value their own way, which a zero would deny them."""
    found = statistics(batch, variables)
    unseen = found[..., BASIC.index("seen"), None] == 0
    means_something = torch.tensor([name in ("count", "seen") for name in BASIC])
    always = torch.zeros(found.shape[-1], dtype=torch.bool)
    always[: len(BASIC)] = means_something
    told_ = found.masked_fill(unseen & ~always, np.nan)
    _, quarter = quarters(batch, variables)
    told_[..., -QUARTERS:] = told_[..., -QUARTERS:].masked_fill(
        ~quarter.view(len(batch.ids), variables, QUARTERS), np.nan
    )
    return told_


def grow(kind: Kind, cohort: Cohort, rows: Array, seed: int, path: Path) -> xgboost.Booster:
    """Trained on the rows with known outcome and kept in a file; a file that is there is read instead."""
    if path.exists():
        return read(path)
    known = rows[np.isfinite(cohort.label[rows])]
    data = xgboost.DMatrix(columns(cohort, known), label=targets(kind, cohort, known))
    settings = {"objective": OBJECTIVES[kind], "seed": seed, "nthread": torch.get_num_threads()}
    grown = xgboost.train({**SETTINGS, **settings}, data, ROUNDS)
    if kind == "survival":
        hazard = grown.predict(data, output_margin=True).astype(np.float64)
        grown.set_attr(**{OFFSET: str(offset(hazard, float(cohort.label[known].mean())))})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.unfinished.json")
    grown.save_model(unfinished)
    unfinished.rename(path)
    return grown


def read(path: Path) -> xgboost.Booster:
    grown = xgboost.Booster()
    grown.load_model(path)
    return grown


def targets(kind: Kind, cohort: Cohort, rows: Array) -> Array:
    """For Cox's likelihood, days until death; negative for who was alive then."""
    if kind == "xgboost":
        return cohort.label[rows]
    days = np.maximum(cohort.survival_d[rows], SHORTEST_D)
    return np.where(days <= LONGEST_D, days, -LONGEST_D)


def offset(hazard: Array, rate: float) -> float:
    """What turns logarithms of hazards into logits whose mean probability is the rate, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(hazard + middle).mean() < rate else (low, middle)
    return low


def sigmoid(logits: Array) -> Array:
    inside: Array = 1 / (1 + np.exp(-logits))
    return inside


def probabilities(grown: xgboost.Booster, cohort: Cohort, rows: Array) -> Array:
    """Of death in hospital."""
    told_ = grown.predict(xgboost.DMatrix(columns(cohort, rows)), output_margin=True).astype(np.float64)
    return sigmoid(told_ + float(grown.attr(OFFSET) or 0))
