"""Linear yard-sticks: elastic nets on named features, and a logistic regression on columns of plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self, TypeVar

import numpy as np

from homeostat.data.ragged import Array
from homeostat.evaluate.predictions import Split
from homeostat.methods import fitted
from homeostat.methods.method import Lesson, Method, Predictor
from homeostat.methods.yardstick import Columns, Targets, rule
from homeostat.run import Run

D = TypeVar("D")


@dataclass(frozen=True, kw_only=True)
class Line:
    """The line target = intercept + sum of coefficients times standardised features."""

    names: Sequence[str]
    shift: Sequence[float]
    scale: Sequence[float]
    coefficients: Sequence[float]
    intercept: float

    @classmethod
    def fit(cls, features: Mapping[str, Array], names: Sequence[str], target: Array) -> Self:
        """Both strengths of the elastic net by five-fold cross-validation on the training rows."""
        from sklearn.linear_model import ElasticNetCV  # slow to load, and most commands need none

        x = np.stack([features[name] for name in names], axis=1)
        shift, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        net = ElasticNetCV(l1_ratio=[0.1, 0.5, 0.9, 1.0], alphas=60, cv=min(5, len(x)), max_iter=50_000)
        net.fit((x - shift) / scale, target)
        return cls(
            names=list(names),
            shift=shift.tolist(),
            scale=scale.tolist(),
            coefficients=np.asarray(net.coef_).tolist(),
            intercept=float(net.intercept_),
        )

    def predict(self, features: Mapping[str, Array]) -> Array:
        """(N,) of features (N,) each."""
        x = np.stack([features[name] for name in self.names], axis=1)
        standard = (x - np.array(self.shift)) / np.array(self.scale)
        return np.asarray(self.intercept + standard @ np.array(self.coefficients))


def elastic_nets(
    name: str,
    sets: Sequence[Sequence[str]],
    *,
    features: Callable[[D], Mapping[str, Array]],
    rows: Callable[[D, Sequence[str]], Array],
    targets: Targets[D],
    answer: Callable[[Array], Array],
    parts: tuple[Split, ...] = ("valid", "test"),
) -> Method[D]:
    """The mean of lines on sets of features; their coefficients are the fitted state.

    `features` are those of everybody by name, of whom `rows` picks some; `answer` turns the mean into outputs.
    """

    def train(lesson: Lesson[D], run: Run) -> Predictor[D]:
        with run.active():
            if not fitted.has(run, "lines"):
                data, ids = lesson.data, lesson.splits.train
                known = {each: values[rows(data, ids)] for each, values in features(data).items()}
                lines = [Line.fit(known, names, targets(data, ids)) for names in sets]
                fitted.save(run, "lines", {"lines": [asdict(line) for line in lines]})
            return load(run)

    def load(run: Run) -> Predictor[D]:
        lines = [Line(**line) for line in fitted.load(run, "lines")["lines"]]

        def outputs(data: D, ids: Sequence[str]) -> Array:
            mean = np.mean([line.predict(features(data)) for line in lines], axis=0)
            return answer(mean)[rows(data, ids)]

        return Predictor(outputs)

    selected = "elastic-net strengths by cross-validation on train"
    return Method(name=name, train=train, load=load, parts=parts, is_single=True, selected=selected)


def logistic(name: str, *, columns: Columns[D], targets: Targets[D], strength: float) -> Method[D]:
    """A logistic regression on standardised columns. It is fitted in a moment, and so has no run of its own."""

    def fit(lesson: Lesson[D]) -> Callable[[D, Sequence[str]], Array]:
        from sklearn.linear_model import LogisticRegression  # slow to load, and most commands need none
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        ids = lesson.splits.train
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        model.fit(columns(lesson.data, ids), targets(lesson.data, ids))

        def probabilities(data: D, wanted: Sequence[str]) -> Array:
            positive: Array = model.predict_proba(columns(data, wanted))[:, 1]
            return positive

        return probabilities

    return rule(name, fit)
