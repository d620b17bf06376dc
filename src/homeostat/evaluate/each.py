"""Scores of each group, or of each seed, of yes/no predictions as if it were alone, with their mean and spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from homeostat.evaluate import binary, weighted
from homeostat.evaluate.predictions import Predictions

RANKING = ("auroc", "auprc")
CALLING = ("balanced accuracy", "mcc", "f1")


def by_group(p: Predictions) -> dict[str, dict[str, Predictions]]:
    """Return the predictions of each group (each donor, each hospital), by the name of the grouping."""
    return {
        name: {each: p.take(groups == each) for each in np.unique(groups).tolist()}
        for name, groups in p.groups.items()
    }


def table(each: Mapping[str, Predictions], cut: float) -> dict[str, Any]:
    """Return a row of scores for each, beside the F1 of "yes" to everybody, and the mean and spread of each score."""
    rows = {name: _row(p, cut) for name, p in each.items()}
    spread = {}
    for score in (*RANKING, *CALLING):
        values = [row[score] for row in rows.values() if row[score] is not None]
        if len(values) > 1:
            spread[score] = {
                "mean": float(np.mean(values)),
                "sd": float(np.std(values, ddof=1)),
                "lowest": float(min(values)),
                "n": len(values),
            }
    return {"rows": rows, "spread": spread}


def _row(p: Predictions, cut: float) -> dict[str, Any]:
    positives = int(p.truth.sum())
    trivial = binary.trivials(float(p.truth.mean()), 0.0)["f1"]
    row: dict[str, Any] = {"n": len(p), "positives": positives, "all-positive f1": trivial}
    if min(positives, len(p) - positives) == 0:
        return row | dict.fromkeys((*RANKING, *CALLING))
    called = np.asarray(p.output >= cut, np.float64)
    counts = {name: weighted.confusion(p.truth, called, binary.AT_THRESHOLD[name]) for name in CALLING}
    ranking = {s.name: s.value for s in binary.scores(p, resamples=20) if s.name in RANKING}
    return row | ranking | {name: weighted.value(count, len(p)) for name, count in counts.items()}
