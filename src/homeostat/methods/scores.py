"""The contents of metrics.json of a run, from its prediction files alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from homeostat.data.ragged import Array
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import BEST_FIRST, Predictions
from homeostat.methods import ensemble, outcome
from homeostat.run import Run, sealed

POSSIBLE = "possible"
"""Folder with the predictions of the best possible model, where the truth is simulated."""
BAYES = "bayes-score"
_LOG = logging.getLogger("homeostat.methods")


def of_run(folder: Path, *, per_subject: bool = False) -> Mapping[str, Any]:
    """Scores with intervals, the model's own first, then its yard-sticks'.

    `per_subject` judges and compares curves subject by subject: a long record must not outvote a short one.
    """
    from homeostat.evaluate import summary  # slow to load, and most commands need no statistics

    return summary.of_run(folder, summary.Settings(per_subject=per_subject))


def with_each(folder: Path) -> Mapping[str, Any]:
    """The scores of a run, then each group and each seed alone, and what is possible where that is known."""
    from homeostat.evaluate import each, possible

    run, metrics = Run(folder), dict(of_run(folder))
    cut = next((float(cut["value"]) for cut in metrics["thresholds"].values()), 0.5)
    answers = outcome.read_all(run)  # the model's own first
    main = next(p for part in BEST_FIRST for p in answers if p.split == part)
    for name, alone in each.by_group(main).items():
        metrics[f"each {name}"] = each.table(alone, cut)
    seeds = by_seed(run, main)
    if len(seeds) > 1:
        metrics["each seed"] = each.table(seeds, cut)
    limit = run.predictions / POSSIBLE / f"{main.split}.parquet"
    if sealed.has(limit):
        metrics["possible"] = possible.beside(main, predictions.read(limit))
        for sentence in possible.sentences(metrics["possible"]):
            _LOG.info("%s", sentence)
    return metrics


def by_seed(run: Run, main: Predictions) -> dict[str, Predictions]:
    """The predictions of the trainings of one seed, which together hold each row once."""
    seeds: dict[str, list[Predictions]] = {}
    for child in run.children():
        file = child.predictions / f"{main.split}.parquet"
        if outcome.method_of(child.name) == main.model and sealed.has(file):
            one = predictions.read(file)
            seeds.setdefault(str(one.seed), []).append(one)
    return {seed: ensemble.joined(parts) for seed, parts in seeds.items()}


def write_possible(run: Run, own: Predictions, probabilities: Array) -> None:
    """Write what the best possible model says about the rows of the model's own predictions."""
    best = replace(own, model=BAYES, seed=None, selected="", source="", outputs=probabilities[:, None])
    predictions.write(best, run.predictions / POSSIBLE / f"{own.split}.parquet")
