"""Yard-sticks that every network stands beside: boosted trees and linear models on columns of plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from homeostat.data.ragged import Array
from homeostat.evaluate.predictions import Split
from homeostat.methods import fitted
from homeostat.methods.method import Lesson, Method, Predictor
from homeostat.run import Run

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix

D = TypeVar("D")

Columns = Callable[[D, Sequence[str]], Array]
"""(data, ids) -> (rows, columns) of plain numbers; NaN where missing."""
Targets = Callable[[D, Sequence[str]], Array]
"""(data, ids) -> (rows,); NaN rows are not learnt from."""


def trees(
    name: str,
    *,
    columns: Columns[D],
    targets: Targets[D],
    settings: Mapping[str, Any],
    rounds: int,
    finish: Callable[[Booster, D, Sequence[str]], Mapping[str, float]] | None = None,
    answer: Callable[[Array, Mapping[str, float]], Array] | None = None,
    parts: tuple[Split, ...] = ("valid", "test"),
) -> Method[D]:
    """Boosted trees. `finish` reads numbers off the fitted trees; `answer` turns margins into outputs with them."""

    def respond(booster: Booster, numbers: Mapping[str, float]) -> Predictor[D]:
        def outputs(data: D, ids: Sequence[str]) -> Array:
            booster.set_param(_threads())
            # In float64 from here: what is added to a margin, such as the constant of a hazard, would be rounded.
            margins = booster.predict(matrix(columns(data, ids)), output_margin=True).astype(np.float64)
            return margins if answer is None else answer(margins, numbers)

        return Predictor(outputs)

    def train(lesson: Lesson[D], run: Run) -> Predictor[D]:
        import xgboost  # slow to load, and most commands need none

        with run.active():
            # A kill after the fit costs no second one.
            if not fitted.has(run, "trees"):
                ids = lesson.splits.train
                target = np.asarray(targets(lesson.data, ids), np.float64)
                known = np.isfinite(target)
                rows = matrix(columns(lesson.data, ids)[known], target[known])
                booster = xgboost.train({**settings, "seed": lesson.seed, **_threads()}, rows, rounds)
                numbers = {} if finish is None else dict(finish(booster, lesson.data, ids))
                # JSON and not a pickle: other versions of xgboost read it, and reading it runs no code.
                model = bytes(booster.save_raw("json")).decode()
                fitted.save(run, "trees", {"numbers": numbers, "model": model})
            return load(run)

    def load(run: Run) -> Predictor[D]:
        import xgboost

        kept = fitted.load(run, "trees")
        booster = xgboost.Booster()
        booster.load_model(bytearray(kept["model"].encode()))
        return respond(booster, kept["numbers"])

    return Method(name=name, train=train, load=load, parts=parts, is_single=True)


def matrix(columns: Array, label: Array | None = None) -> DMatrix:
    """Make xgboost's table."""
    import xgboost

    return xgboost.DMatrix(columns, label=label, **_threads())


def _threads() -> dict[str, int]:
    """Return the threads that the plan decided. A table or a loaded model that is not told takes every core."""
    import torch

    return {"nthread": torch.get_num_threads()}


def rule(
    name: str,
    fit: Callable[[Lesson[D]], Callable[[D, Sequence[str]], Array]],
    *,
    parts: tuple[Split, ...] = ("valid", "test"),
) -> Method[D]:
    """A rule, or a model that is fitted in a moment. It has no run of its own: each start fits it anew."""

    def train(lesson: Lesson[D], run: Run) -> Predictor[D]:
        return Predictor(fit(lesson))

    return Method(name=name, train=train, parts=parts, is_single=True)
