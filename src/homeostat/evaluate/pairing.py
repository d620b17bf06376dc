"""Pair two runs for a comparison: on the same rows, and only if neither learnt from the rows of the test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate.predictions import Predictions
from homeostat.run import sealed


def seen(splits: Path, parts: Sequence[str] = ("train", "valid")) -> frozenset[str]:
    """Return the ids that a run learnt from: those it trained on, and those it chose its epoch by."""
    if not sealed.has(splits):
        raise DataError(
            f"{splits} does not exist: without it nobody knows what the run was trained on. "
            "A run of your own keeps its splits with `parts.save(run.splits_file)`."
        )
    try:
        ids = json.loads(sealed.read(splits))
        # Validation ids count as seen: the epoch was chosen by them.
        return frozenset(str(name) for part in parts for name in ids[part])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{splits} is not a splits file ({error!r}).") from error


def refuse_overlap(
    p: Predictions, seen_by_other: frozenset[str], other: str, learnt_from: str = "training or validation"
) -> None:
    """Refuse a test set whose rows were training or validation rows of the other run."""
    # splits.json lists rows or subjects, as its recipe splits.
    known = np.array(
        [row in seen_by_other or who in seen_by_other for row, who in zip(p.ids, p.subjects, strict=True)]
    )
    if known.any():
        raise DataError(
            f"{int(known.sum())} of {len(p)} {p.split} ids of {p.model} (first: {p.ids[known.argmax()]}) were "
            f"{learnt_from} ids of {other}. That comparison would reward memory. "
            "Train both on one splits.json."
        )


def aligned(
    a: Sequence[Predictions], b: Sequence[Predictions]
) -> tuple[tuple[Predictions, ...], tuple[Predictions, ...]]:
    """Put all on the rows of the first, in its order; refuse files that do not hold the same rows and truths."""
    if not a or not b:
        raise ConfigError("A comparison needs at least one prediction file on each side.")
    first = a[0]
    return tuple(_like(first, p) for p in a), tuple(_like(first, p) for p in b)


def _like(first: Predictions, p: Predictions) -> Predictions:
    for what in ("kind", "split", "names"):
        if getattr(p, what) != getattr(first, what):
            raise DataError(
                f"{p.model} has {what} {getattr(p, what)}, "
                f"{first.model} has {what} {getattr(first, what)}: they cannot be compared."
            )
    place = {name: row for row, name in enumerate(p.ids)}
    missing = [name for name in first.ids if name not in place]
    if missing or len(p) != len(first):
        raise DataError(
            f"{p.model} and {first.model} predicted different rows ({len(p)} and {len(first)}, "
            f"{len(missing)} of the latter absent from the former). Predict the same split with both."
        )
    moved = p.take(np.array([place[name] for name in first.ids]))
    if not np.array_equal(moved.targets, first.targets, equal_nan=True):
        raise DataError(
            f"{p.model} and {first.model} disagree about the truth of some rows. They read other data."
        )
    return moved
