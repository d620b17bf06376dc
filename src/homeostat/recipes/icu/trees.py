"""The yard-stick: boosted trees on the summary statistics of a stay.

On these data trees beat most published neural networks, so no score of a network stands alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xgboost
from torch import Tensor

from homeostat.data.ragged import Array
from homeostat.recipes.icu.cohort import Batch, Cohort
from homeostat.recipes.icu.summary import BASIC, QUARTERS, quarters, statistics

SCORING_SIZE = 512
ROUNDS = 350
# Shallow trees that each see a quarter of 700 columns: found by cross-validation inside set a, and flat around here.
SETTINGS = {
    "objective": "binary:logistic",
    "max_depth": 4,
    "eta": 0.03,
    "subsample": 0.6,
    "colsample_bytree": 0.25,
    "min_child_weight": 5,
    "lambda": 5,
    "tree_method": "hist",
}


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


def grow(cohort: Cohort, rows: Array, seed: int, path: Path) -> xgboost.Booster:
    """Trained on the rows with known outcome and kept in a file; a file that is there is read instead."""
    if path.exists():
        return read(path)
    known = rows[np.isfinite(cohort.label[rows])]
    data = xgboost.DMatrix(columns(cohort, known), label=cohort.label[known])
    grown = xgboost.train({**SETTINGS, "seed": seed, "nthread": torch.get_num_threads()}, data, ROUNDS)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.unfinished.json")
    grown.save_model(unfinished)
    unfinished.rename(path)
    return grown


def read(path: Path) -> xgboost.Booster:
    grown = xgboost.Booster()
    grown.load_model(path)
    return grown


def probabilities(grown: xgboost.Booster, cohort: Cohort, rows: Array) -> Array:
    told_: Array = grown.predict(xgboost.DMatrix(columns(cohort, rows))).astype(np.float64)
    return told_
