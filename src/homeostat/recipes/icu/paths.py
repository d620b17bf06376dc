"""The course of a stay on its latent path, every half hour and at each observation, for figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from homeostat.data.curves import Curves
from homeostat.data.ragged import Array
from homeostat.evaluate.predictions import Predictions
from homeostat.recipes.icu.cohort import HOURS, Batch, Cohort
from homeostat.recipes.icu.latent import LatentOde
from homeostat.recipes.icu.variables import SERIES

SHOWN = ("HR", "NIMAP", "GCS", "Temp", "Glucose")
MOST_VARIABLES = 3
STAYS_EACH = 2
"""Stays that ended in survival, and as many that ended in death: of the first three mostly nobody dies."""
EVERY_H = 0.5


def paths(network: LatentOde, cohort: Cohort, rows: Array, curves: Curves, split: str) -> Predictions:
    """Up to three variables of the first stays of each outcome, whoever they are; truth where one was observed."""
    rows = first_of_each(cohort.label, rows)
    batch = cohort.gather(rows)
    names = [name for name in (*SHOWN, *curves.names) if name in curves.names]
    names = list(dict.fromkeys(names))[:MOST_VARIABLES]
    places = [curves.names.index(name) for name in names]
    seen, even = courses(network, batch)
    truth = np.full((int(batch.real.sum()), len(names)), np.nan)
    before = np.concatenate([[0], np.cumsum(batch.real.sum(1).numpy())])
    variable, value = batch.variable.numpy(), batch.value.numpy()
    moment = before[batch.owner.numpy()] + batch.step.numpy()
    for column, place in enumerate(places):
        own = variable == place
        truth[moment[own], column] = curves.inverse(value[own], place)
    stay, at = (part.numpy() for part in batch.real.nonzero(as_tuple=True))
    hours = batch.moments.numpy()[stay, at] * HOURS
    grid_stay = np.repeat(np.arange(len(batch.ids)), even.shape[1])
    shown = np.concatenate([seen, even.reshape(-1, even.shape[2])])[:, places]
    stays = [cohort.ids[rows[place]] for place in (*stay, *grid_stay)]
    return Predictions.build(
        "regression",
        "test" if split == "test" else "valid",
        ids=[f"{name}@{row}" for row, name in enumerate(stays)],
        subjects=stays,
        names=[with_unit(name) for name in names],
        targets=np.concatenate([truth, np.full((len(grid_stay), len(names)), np.nan)]),
        outputs=np.stack([curves.inverse(shown[:, k], place) for k, place in enumerate(places)], axis=1),
        time=np.concatenate([hours, np.tile(half_hours() * HOURS, len(batch.ids))]),
        model="latent-ode",
        time_unit="h",
    )


def first_of_each(label: Array, rows: Array) -> Array:
    """The first rows with each outcome; of rows without a known one, the first."""
    parts = [rows[label[rows] == value][:STAYS_EACH] for value in (0, 1)]
    parts.append(rows[np.isnan(label[rows])][:STAYS_EACH])
    return np.concatenate(parts)[: 2 * STAYS_EACH]


def with_unit(name: str) -> str:
    """The name of a variable with its unit, where that is known."""
    return f"{name} ({SERIES[name].unit})" if name in SERIES else name


def courses(network: LatentOde, batch: Batch) -> tuple[Array, Array]:
    """All variables at the real moments of all stays (one after the other), and every half hour (B, T, V)."""
    grid = torch.from_numpy(half_hours()).expand(len(batch.ids), -1)
    even = replace(batch, moments=grid, real=torch.ones(grid.shape, dtype=torch.bool))
    with torch.no_grad():
        start, _ = network.encoder(batch)
        seen, regular = (network.decoder(network.solve(start, times)[0].own) for times in (batch, even))
    return seen.numpy(), regular.view(len(batch.ids), grid.shape[1], -1).numpy()


def half_hours() -> Array:
    """Every half hour from admission to the hour of the prediction, in the model's time."""
    return np.linspace(0, 1, round(HOURS / EVERY_H) + 1, dtype=np.float32)
