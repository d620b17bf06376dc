"""What does the latent path show of a stay? Observations that were hidden from the encoder, beside what it expected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from homeostat.data.ragged import Array
from homeostat.evaluate.predictions import Predictions
from homeostat.recipes.icu.cohort import HOURS, Batch, Cohort
from homeostat.recipes.icu.curves import Curves
from homeostat.recipes.icu.hiding import hider
from homeostat.recipes.icu.latent import LatentOde

SHOWN = ("HR", "NIMAP", "GCS", "Temp", "Glucose")
MOST_VARIABLES = 3
MOST_STAYS = 40
HIDDEN = 0.4


def paths(network: LatentOde, cohort: Cohort, rows: Array, curves: Curves, split: str) -> Predictions | None:
    """Hidden observations of up to three variables of the first stays; nothing where none was hidden."""
    batch = hide(cohort.gather(rows[:MOST_STAYS]))
    with torch.no_grad():
        expected = network(batch, reconstruct=True).expected
    names = [name for name in (*SHOWN, *curves.names) if name in curves.names]
    names = list(dict.fromkeys(names))[:MOST_VARIABLES]
    places = [curves.names.index(name) for name in names]
    chosen = (~batch.seen & torch.isin(batch.variable, torch.tensor(places))).numpy()
    owner, step = batch.owner.numpy()[chosen], batch.step.numpy()[chosen]
    if not len(owner):
        return None
    moment, row = np.unique(np.stack([owner, step]), axis=1, return_inverse=True)
    truth = np.full((moment.shape[1], len(names)), np.nan)
    shown = np.zeros(truth.shape)
    variable = batch.variable.numpy()[chosen]
    for column, place in enumerate(places):
        own = variable == place
        truth[row[own], column] = curves.inverse(batch.value.numpy()[chosen][own], place)
        shown[row[own], column] = curves.inverse(expected.numpy()[chosen][own], place)
    stays = [cohort.ids[rows[place]] for place in moment[0]]
    return Predictions.build(
        "regression",
        "test" if split == "test" else "valid",
        ids=[f"{stay}@{step}" for stay, step in zip(stays, moment[1], strict=True)],
        subjects=stays,
        names=names,
        targets=truth,
        outputs=shown,
        time=batch.moments.numpy()[moment[0], moment[1]] * HOURS,
        model="latent-ode",
        time_unit="h",
    )


def hide(batch: Batch) -> Batch:
    """In every stay, not in some: here hiding serves to show, not to teach."""
    draws = [hider(0, HIDDEN, 0.0)(batch, epoch).seen for epoch in range(2)]
    return replace(batch, seen=draws[0] & draws[1])
