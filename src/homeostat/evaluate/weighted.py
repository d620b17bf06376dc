"""Compute scores of weighted samples; the bootstrap turns resamples into weights and computes all at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from homeostat.evaluate.bootstrap import Floats, Statistic

# The bound that scikit-learn's log_loss had up to version 1.2, so that its figures can be compared.
EPS = 1e-15
"""Probabilities are clipped here in the log loss, so that one certain error does not make it infinite."""


def value(statistic: Statistic, n: int) -> float:
    """Return the score of the sample itself: every row counts once."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(statistic(np.ones((1, n)))[0])


def auroc(truth: Floats, output: Floats) -> Statistic:
    """Return the Mann-Whitney statistic, in which ties count one half."""
    order, starts = _ascending(output)
    positive = truth[order]

    def statistic(weights: Floats) -> Floats:
        sorted_weights = weights[:, order]
        gain = _per_tie(sorted_weights * positive, starts)
        lost = _per_tie(sorted_weights * (1 - positive), starts)
        # Half of the tie itself: ties count one half (Mann and Whitney 1947).
        below = np.cumsum(lost, axis=1) - 0.5 * lost
        wins = np.einsum("rg,rg->r", gain, below)
        area: Floats = wins / (gain.sum(axis=1) * lost.sum(axis=1))
        return area

    return statistic


def auprc(truth: Floats, output: Floats) -> Statistic:
    """Return average precision: precision at every distinct threshold, weighted by the recall that it adds.

    A straight line between two thresholds would flatter: precision does not rise linearly (Davis and Goadrich 2006).
    """
    order, starts = _ascending(-output)
    positive = truth[order]

    def statistic(weights: Floats) -> Floats:
        sorted_weights = weights[:, order]
        gain = _per_tie(sorted_weights * positive, starts)
        true_positives = np.cumsum(gain, axis=1)
        called = np.cumsum(_per_tie(sorted_weights, starts), axis=1)
        # Leading rows of weight zero have called = 0; they add no recall either.
        precision = np.divide(true_positives, called, out=np.zeros_like(called), where=called > 0)
        area: Floats = np.einsum("rg,rg->r", gain, precision) / true_positives[:, -1]
        return area

    return statistic


def mean(per_row: Floats) -> Statistic:
    return lambda weights: weights @ per_row / weights.sum(axis=1)


def brier(truth: Floats, output: Floats) -> Statistic:
    return mean((output - truth) ** 2)


def log_loss(truth: Floats, output: Floats) -> Statistic:
    p = np.clip(output, EPS, 1 - EPS)
    return mean(-(truth * np.log(p) + (1 - truth) * np.log1p(-p)))


def of_sums(per_row: Floats, combine: Callable[[Floats], Floats]) -> Statistic:
    """Return a function of weighted sums of columns: `combine` maps (columns, resamples) to (resamples,)."""
    return lambda weights: combine((weights @ per_row).T)


def confusion(truth: Floats, called: Floats, combine: Callable[[Floats], Floats]) -> Statistic:
    """Return a function of the weighted counts tp, fp, fn, tn."""
    cells = np.column_stack(
        [truth * called, (1 - truth) * called, truth * (1 - called), (1 - truth) * (1 - called)]
    )
    return of_sums(cells, combine)


def _ascending(key: Floats) -> tuple[slice | np.ndarray[tuple[int], np.dtype[np.intp]], np.ndarray | None]:
    """Return the order of the rows and the starts of ties.

    Both spare the copies of thousands of weights: the order is a slice if the rows are sorted already, and the starts
    are None without ties.
    """
    order = np.argsort(key, kind="stable")
    in_order = key[order]
    new = np.flatnonzero(np.concatenate([[True], np.diff(in_order) > 0]))
    already = np.array_equal(order, np.arange(len(key)))
    return (slice(None) if already else order), (None if len(new) == len(key) else new)


def _per_tie(values: Floats, starts: np.ndarray | None) -> Floats:
    return values if starts is None else np.add.reduceat(values, starts, axis=1)
