"""Several models, one answer: each predicts the training stays out of fold, and a logistic regression weighs them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.splits import deal
from homeostat.recipes.icu import members
from homeostat.recipes.icu.cohort import Cohort
from homeostat.recipes.icu.config import Config, Member
from homeostat.recipes.icu.members import Predictor
from homeostat.run import Run

# Weak: four inputs and thousands of stays. It keeps two members that always agree from cancelling each other.
PENALTY = 1.0


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Of the members' logits, fitted on out-of-fold predictions of the training stays."""

    members: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    fitted_on: str = "train, out of fold"

    @classmethod
    def fit(cls, told: Mapping[str, Array], label: Array) -> Self:
        from sklearn.linear_model import LogisticRegression  # slow to load, and most commands need none

        names = tuple(told)
        logits = np.stack([logit(told[name]) for name in names], axis=1)
        model = LogisticRegression(C=PENALTY).fit(logits, label)
        return cls(
            members=names, weights=tuple(model.coef_[0].tolist()), intercept=float(model.intercept_[0])
        )

    def combine(self, told: Mapping[str, Array]) -> Array:
        total = self.intercept + sum(
            w * logit(told[n]) for n, w in zip(self.members, self.weights, strict=True)
        )
        combined: Array = 1 / (1 + np.exp(-total))
        return combined

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vars(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        told = json.loads(path.read_text())
        return cls(**(told | {name: tuple(told[name]) for name in ("members", "weights")}))


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A predictor per member and fold; a new stay gets the mean of the folds."""

    weights: Weights
    predictors: Mapping[str, Sequence[Predictor]]

    def members(self, cohort: Cohort, rows: Array) -> dict[str, Array]:
        """Each member's probability, averaged over its folds on the scale of logits."""
        return {
            name: mean_probability([predict(cohort, rows) for predict in each])
            for name, each in self.predictors.items()
        }

    def combine(self, told: Mapping[str, Array]) -> Array:
        return self.weights.combine(told)


def train(config: Config, cohort: Cohort, rows: Array, unlabelled: Array, run: Run) -> Stack:
    """Every member on every fold, in child runs that resume each for itself; then the weights."""
    known = rows[np.isfinite(cohort.label[rows])]
    fold = np.array(
        deal(
            [cohort.ids[row] for row in known],
            [cohort.subjects[row] for row in known],
            weights=[1 / config.folds] * config.folds,
            seed=config.split_seed,
            strata=[str(cohort.label[row]) for row in known],
        )
    )
    told: dict[str, Array] = {name: np.zeros(len(known)) for name in config.members}
    predictors: dict[str, list[Predictor]] = {name: [] for name in config.members}
    for place in range(config.folds):
        held = np.flatnonzero(fold == place)
        learnt = known[fold != place]
        for name in config.members:
            of_fold = seeded(members.in_stack(config, name), place, len(learnt))
            child = fold_run(run, place, name)
            predict = members.train(name, of_fold, cohort, learnt, known[held], unlabelled, child)
            told[name][held] = predict(cohort, known[held])
            predictors[name].append(predict)
    weights = Weights.fit(told, cohort.label[known])
    weights.save(weights_file(run))
    run.journal(
        "stack", **dict(zip(weights.members, weights.weights, strict=True)), intercept=weights.intercept
    )
    return Stack(weights=weights, predictors=predictors)


def read(config: Config, variables: int, static: int, run: Run) -> Stack:
    """The trained stack of a run."""
    predictors: dict[str, list[Predictor]] = {
        name: [
            members.read(name, members.in_stack(config, name), variables, static, fold_run(run, place, name))
            for place in range(config.folds)
        ]
        for name in config.members
    }
    return Stack(weights=Weights.load(weights_file(run)), predictors=predictors)


def seeded(config: Config, fold: int, stays: int) -> Config:
    """Each fold has its own seed, and is scored at its last step alone."""
    steps = config.fit.epochs * max(stays // config.batch_size, 1)
    return replace(config, fit=replace(config.fit, seed=config.fit.seed + fold, evaluate_every=steps))


def fold_run(run: Run, fold: int, name: Member) -> Run:
    return members.inside(run, f"fold-{fold}-{name}")


def weights_file(run: Run) -> Path:
    return run.checkpoints / "stack.json"


def mean_probability(told: Sequence[Array]) -> Array:
    mean: Array = 1 / (1 + np.exp(-np.mean([logit(each) for each in told], axis=0)))
    return mean


def logit(probability: Array) -> Array:
    inner = np.clip(probability, 1e-6, 1 - 1e-6)
    odds: Array = np.log(inner) - np.log1p(-inner)
    return odds
