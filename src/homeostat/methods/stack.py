"""A stack is a method made of methods: each predicts the training subjects out of fold, and a ladder combines them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from homeostat.data.ragged import Array
from homeostat.errors import ConfigError
from homeostat.methods import crossfit, ensemble, fitted
from homeostat.methods.ladder import Ladder
from homeostat.methods.method import Lesson, Method, Plan, Predictor, Table
from homeostat.methods.protocol import Roster, inner_folds
from homeostat.run import Run

D = TypeVar("D")

NAME = "stack"


def stack(
    members: Sequence[Method[D]],
    *,
    table: Table[D],
    roster: Callable[[D, Sequence[str]], Roster],
    folds: int,
    split_seed: int = 0,
) -> Method[D]:
    """Make the method. `roster` lists those of some ids whose outcome is known, with subjects and strata."""
    if rules := [member.name for member in members if member.is_rule]:
        raise ConfigError(f"{rules[0]} is a rule, which keeps no state. Members of a stack must be trained.")
    inside = tuple(
        # They predict what was held out of their training, and are averaged over folds as logits, the scale on which
        # they are combined.
        replace(member, parts=("valid",), is_single=False, average="logits", selected="")
        for member in members
    )

    def inner(lesson: Lesson[D]) -> Plan[D]:
        return Plan(
            data=lesson.data,
            protocol=inner_folds(roster(lesson.data, lesson.splits.train), folds, split_seed),
            methods=inside,
            table=table,
            seed=lesson.seed,
            at_end=True,
        )

    def train(lesson: Lesson[D], run: Run) -> Predictor[D]:
        plan = inner(lesson)
        held_out = crossfit.crossfit(plan, run)
        answers = {member.name: held_out.of(member.name, "valid") for member in inside}
        first = next(iter(answers.values()))
        ladder = Ladder.fit(
            {name: each.outputs for name, each in answers.items()},
            first.targets,
            first.subjects.tolist(),
            split_seed,
        )
        names = [child.name for child in plan.children]
        fitted.save(run, NAME, {"ladder": ladder.to_plain(), "children": names})
        run.journal("stack", rung=ladder.rung, sentence=_sentence(ladder), **ladder.nested)
        return predictor(run, ladder, names)

    def load(run: Run) -> Predictor[D]:
        kept = fitted.load(run, NAME)
        return predictor(run, Ladder.from_plain(kept["ladder"]), kept["children"])

    def predictor(run: Run, ladder: Ladder, names: Sequence[str]) -> Predictor[D]:
        loaded = {member.name: crossfit.load(run, member, names) for member in inside}
        return _combined(ladder, loaded)

    return Method(name=NAME, train=train, load=load, inner=inner, average="logits")


def _combined(ladder: Ladder, members: Mapping[str, Sequence[Predictor[D]]]) -> Predictor[D]:
    """A predictor of the stack, with one for each member beside it. Members are asked once for the same ids."""
    latest: dict[str, Any] = {}

    def answers(data: D, ids: Sequence[str]) -> dict[str, Array]:
        # Stack and members are asked one after the other for the same ids; a network would answer twice.
        if latest.get("data") is not data or latest.get("ids") != tuple(ids):
            each = {name: _mean(predictors, data, ids) for name, predictors in members.items()}
            latest.update(data=data, ids=tuple(ids), answers=each)
        kept: dict[str, Array] = latest["answers"]
        return kept

    def beside(name: str) -> Predictor[D]:
        return Predictor(lambda data, ids: answers(data, ids)[name])

    return Predictor(
        lambda data, ids: ladder.combine(answers(data, ids)), {name: beside(name) for name in members}
    )


def _mean(predictors: Sequence[Predictor[D]], data: D, ids: Sequence[str]) -> Array:
    """The mean of a member over its folds on the scale of logits, (N, K)."""
    outputs = [np.asarray(each.answer(data, ids), np.float64) for each in predictors]
    wide = [each[:, None] if each.ndim == 1 else each for each in outputs]
    return ensemble.mean_of(wide, "logits")


def _sentence(ladder: Ladder) -> str:
    return f"the stack combines {', '.join(ladder.members)} by its rung {ladder.rung!r}: {ladder.reason}"
