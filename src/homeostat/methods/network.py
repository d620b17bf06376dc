"""A method that is one neural network, trained by `fit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import nn

from homeostat.data.ragged import Array
from homeostat.engine.export import best_weights
from homeostat.engine.fit import fit
from homeostat.engine.settings import Settings
from homeostat.engine.state import load_weights
from homeostat.evaluate.predictions import Split
from homeostat.guards import every
from homeostat.methods.method import Average, Lesson, Method, Predictor
from homeostat.run import Run
from homeostat.task.task import Task

D = TypeVar("D")

Answering = Callable[[nn.Module, D, Sequence[str]], Array]
"""(network in eval mode, data, ids) -> output rows."""


def network(
    name: str,
    *,
    task: Callable[[Lesson[D]], Task[Any]],
    settings: Callable[[Lesson[D], Task[Any]], Settings],
    answer: Answering[D],
    blank: Callable[[Run], nn.Module],
    before: Callable[[Lesson[D], Task[Any], Run], None] | None = None,
    average: Average = "outputs",
    stream: str | None = None,
    parts: tuple[Split, ...] = ("valid", "test"),
    selected: str = "",
) -> Method[D]:
    """Make the method. `task` builds the untrained network with its data; `before` may pre-train it in place.

    `blank` builds a network of the form that was trained in a run, into which its best weights are read.
    """

    def predictor(model: nn.Module) -> Predictor[D]:
        return Predictor(lambda data, ids: answer(model, data, ids))

    def train(lesson: Lesson[D], run: Run) -> Predictor[D]:
        prepared = task(lesson)
        if before is not None:
            before(lesson, prepared, run)
        return predictor(fit(prepared, settings(lesson, prepared), run, every()).best_model())

    def load(run: Run) -> Predictor[D]:
        model = blank(run)
        load_weights(model, best_weights(run))
        return predictor(model.eval())

    return Method(
        name=name,
        train=train,
        load=load,
        average=average,
        stream=stream,
        parts=parts,
        selected=selected,
    )
