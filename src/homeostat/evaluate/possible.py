"""The AUROC of a model beside that of the best possible one, where the truth is simulated: a limit and no rival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from homeostat.evaluate.each import by_group
from homeostat.evaluate.predictions import Predictions


def beside(main: Predictions, best: Predictions) -> dict[str, Any]:
    """Compare everybody, each group that has both classes, and the groups' mean and spread. A ratio above 1 is luck."""
    of_best = by_group(best)
    rows = {
        f"{name} {each}": [_auroc(alone), _auroc(of_best[name][each])]
        for name, groups in by_group(main).items()
        for each, alone in groups.items()
        if 0 < alone.truth.sum() < len(alone)
    }
    pairs = {"everybody": [_auroc(main), _auroc(best)], **rows}
    ratios: dict[str, Any] = {
        who: {"auroc": reached, "possible": possible, "ratio": reached / possible}
        for who, (reached, possible) in pairs.items()
    }
    if len(rows) > 1:
        reached, possible = np.mean(list(rows.values()), axis=0).tolist()
        ratios["mean of groups"] = {"auroc": reached, "possible": possible, "ratio": reached / possible}
        reached, possible = np.std(list(rows.values()), axis=0, ddof=1).tolist()
        ratios["sd of groups"] = {"auroc": reached, "possible": possible}
    return ratios


def sentences(possible: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the rows of `beside` in words."""
    for who, row in possible.items():
        end = f", {row['ratio']:.1%} of it" if "ratio" in row else ""
        yield f"AUROC, {who}: {row['auroc']:.3f} where {row['possible']:.3f} is possible{end}"


def _auroc(p: Predictions) -> float:
    return float(roc_auc_score(p.truth, p.output))
