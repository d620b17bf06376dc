"""An ensemble is the mean of several models' predictions of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from homeostat.data.ragged import Array
from homeostat.errors import DataError
from homeostat.evaluate.predictions import Predictions

# A probability nearer to 0 or 1 than this says no more than this.
SURE = 1e-6


def mean(answers: Sequence[Predictions], average: str = "outputs") -> Predictions:
    """The mean over models that predict the same rows in the same order: of their outputs, logits or logs."""
    first = answers[0]
    if any(not np.array_equal(each.ids, first.ids) for each in answers):
        raise DataError(f"The predictions of {first.model} are of different rows, so they have no mean.")
    outputs = mean_of([each.outputs for each in answers], average)
    return replace(first, outputs=outputs, seed=first.seed if len(answers) == 1 else None)


def mean_of(outputs: Sequence[Array], average: str = "outputs") -> Array:
    """The same, of plain arrays."""
    # As it is: to logits and back it would lose its last bits.
    if len(outputs) == 1:
        return outputs[0]
    if average == "logits":
        return probability(np.mean([logit(each) for each in outputs], axis=0))
    if average == "logs":
        # To base ten the logs of a method that predicts such a log come back without a rounding error.
        geometric: Array = 10 ** np.mean(np.log10(outputs), axis=0)
        return geometric
    averaged: Array = np.mean(outputs, axis=0)
    return averaged


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Several splits one after the other. A row that several of them predict has the mean of their outputs."""
    # A donor who validates several splits has a row in each; the first version refused such rows (log/cell.md).
    ids = np.concatenate([p.ids for p in parts])
    _, first, place = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)  # the order in which the rows were met
    kept = first[order]
    outputs = np.concatenate([p.outputs for p in parts])
    sums = np.stack([np.bincount(place, column) for column in outputs.T], axis=1)
    return replace(
        parts[0],
        seed=parts[0].seed if len(parts) == 1 else None,
        ids=ids[kept],
        subjects=np.concatenate([p.subjects for p in parts])[kept],
        targets=np.concatenate([p.targets for p in parts])[kept],
        outputs=(sums / np.bincount(place)[:, None])[order],
        time=None
        if parts[0].time is None
        else np.concatenate([p.time for p in parts if p.time is not None])[kept],
        groups={name: np.concatenate([p.groups[name] for p in parts])[kept] for name in parts[0].groups},
    )


def logit(probability: Array) -> Array:
    """The logarithm of the odds; certainty is bounded."""
    inner = np.clip(probability, SURE, 1 - SURE)
    odds: Array = np.log(inner) - np.log1p(-inner)
    return odds


def probability(logits: Array) -> Array:
    """The inverse of `logit`."""
    inside: Array = 1 / (1 + np.exp(-logits))
    return inside
