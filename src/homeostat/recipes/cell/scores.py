"""Scores of a run, of every donor and of every seed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from homeostat.evaluate import binary, predictions, summary
from homeostat.evaluate.predictions import Predictions
from homeostat.methods import ensemble, outcome
from homeostat.methods.seat import OWN
from homeostat.run import Run

MODEL = "resnet3d"
BAYES = "bayes-score"
POSSIBLE = "possible"
"""Folder with the predictions of the best possible model, where the volumes are simulated: a limit and no rival."""
_LOG = logging.getLogger("homeostat.recipes")
OF_EACH = ("auroc", "auprc", "balanced accuracy", "mcc", "f1")
"""Scores of each donor and seed."""


def scores(folder: Path) -> Mapping[str, Any]:
    """The contents of metrics.json: everybody together, then each donor and each seed with mean and spread."""
    run = Run(folder)
    metrics = summary.of_run(folder)
    cuts = [float(cut["value"]) for cut in metrics["thresholds"].values()]
    cut = cuts[0] if cuts else 0.5
    part = next(
        (name for name in ("test", "valid") if (run.predictions / f"{name}.parquet").exists()), "valid"
    )
    main = predictions.read(run.predictions / f"{part}.parquet")
    for name, alone in by_group(main).items():
        metrics[f"each {name}"] = table(alone, cut)
    seeds = by_seed(run, part)
    if len(seeds) > 1:
        metrics["each seed"] = table(seeds, cut)
    limit = folder / POSSIBLE / f"{part}.parquet"
    if limit.exists():
        metrics["possible"] = beside(main, predictions.read(limit))
        say(metrics["possible"])
    return metrics


def by_group(p: Predictions) -> dict[str, dict[str, Predictions]]:
    """The predictions of each donor, by the name of the groups."""
    return {
        name: {each: p.take(groups == each) for each in np.unique(groups).tolist()}
        for name, groups in p.groups.items()
    }


def beside(main: Predictions, best: Predictions) -> dict[str, Any]:
    """AUROC of the model and of the best possible one: everybody, each group that has both classes, and the groups'
    mean and spread. A ratio above 1 is luck."""
    of_best = by_group(best)
    rows = {
        f"{name} {each}": [auroc(alone), auroc(of_best[name][each])]
        for name, groups in by_group(main).items()
        for each, alone in groups.items()
        if 0 < alone.truth.sum() < len(alone)
    }
    pairs = {"everybody": [auroc(main), auroc(best)], **rows}
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


def auroc(p: Predictions) -> float:
    return float(roc_auc_score(p.truth, p.output))


def say(possible: Mapping[str, Mapping[str, float]]) -> None:
    """The table of `beside` in words."""
    for who, row in possible.items():
        end = f", {row['ratio']:.1%} of it" if "ratio" in row else ""
        _LOG.info("AUROC, %s: %.3f where %.3f is possible%s", who, row["auroc"], row["possible"], end)


def by_seed(run: Run, part: str) -> dict[str, Predictions]:
    """The predictions of the networks of one seed, which together hold each volume once."""
    found: dict[str, list[Predictions]] = {}
    for child in run.children():
        file = child.predictions / f"{part}.parquet"
        if outcome.method_of(child.name) in (MODEL, OWN) and file.exists():
            one = predictions.read(file)
            found.setdefault(str(one.seed), []).append(one)
    return {seed: ensemble.joined(parts) for seed, parts in found.items()}


def table(each: Mapping[str, Predictions], cut: float) -> dict[str, Any]:
    """Scores of each, beside those of the trivial predictor, and their mean and spread."""
    rows = {name: of_one(p, cut) for name, p in each.items()}
    spread = {}
    for score in OF_EACH:
        values = [row[score] for row in rows.values() if row[score] is not None]
        if len(values) > 1:
            spread[score] = {
                "mean": float(np.mean(values)),
                "sd": float(np.std(values, ddof=1)),
                "lowest": float(min(values)),
                "n": len(values),
            }
    return {"rows": rows, "spread": spread}


def of_one(p: Predictions, cut: float) -> dict[str, Any]:
    truth, output = p.truth, p.output
    positives = int(truth.sum())
    row: dict[str, Any] = {
        "n": len(p),
        "positives": positives,
        "all-positive f1": trivial_f1(float(truth.mean())),
    }
    if min(positives, len(p) - positives) == 0:
        return row | dict.fromkeys(OF_EACH)
    called = output >= cut
    table = np.array(
        [
            [(called & (truth == 1)).sum()],
            [(called & (truth == 0)).sum()],
            [(~called & (truth == 1)).sum()],
            [(~called & (truth == 0)).sum()],
        ],
        np.float64,
    )
    ranking = {s.name: s.value for s in binary.scores(p, resamples=20) if s.name in ("auroc", "auprc")}
    return row | ranking | {name: float(binary.AT_THRESHOLD[name](table)[0]) for name in OF_EACH[2:]}


def trivial_f1(prevalence: float) -> float:
    return 2 * prevalence / (1 + prevalence)
