"""Methods crossed with splits and seeds: one child run each, resumable alone, by whoever takes its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from homeostat.errors import ConfigError, DataError, RunError, command, did_you_mean
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.methods import ensemble, outcome
from homeostat.methods.method import Child, Method, Plan, Predictor, Table
from homeostat.run import Run, sealed

D = TypeVar("D")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The predictions of one model for one part of one split."""

    split: str
    model: str
    k: int
    predictions: Predictions


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """The answers of all children: every row by models that had not seen its group."""

    answers: tuple[Answer, ...]
    average: dict[str, str]
    """Model -> what is averaged over its seeds."""

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(answer.model for answer in self.answers))

    def parts(self, model: str) -> tuple[Split, ...]:
        return tuple(dict.fromkeys(a.predictions.split for a in self.answers if a.model == model))

    def of(self, model: str, part: Split) -> Predictions:
        """The mean over the seeds of each split; a row that several splits predict has their mean."""
        by_split: dict[str, list[Predictions]] = {}
        for answer in self.answers:
            if answer.model == model and answer.predictions.split == part:
                by_split.setdefault(answer.split, []).append(answer.predictions)
        means = [ensemble.mean(each, self.average[model]) for each in by_split.values()]
        return ensemble.joined(means)


def carry_out(plan: Plan[D], run: Run) -> OutOfFold:
    """Train everything, and write what it says about the validation and test parts."""
    with run.active():
        run.environment(
            protocol=plan.protocol.name,
            protocol_reason=plan.protocol.reason,
            children=[child.name for child in plan.children if not child.method.is_rule],
            **plan.notes,
        )
        if plan.protocol.is_single:
            next(iter(plan.protocol.splits.values())).keep(run.splits_file)
        answers = crossfit(plan, run)
        for model in answers.models:
            for part in answers.parts(model):
                outcome.write(run, [replace(answers.of(model, part), source="")], main=plan.main.name)
        return answers


def crossfit(plan: Plan[D], run: Run) -> OutOfFold:
    """Train what is not trained yet, and gather what every child says."""
    answers: list[Answer] = []
    for child in plan.children:
        if child.method.is_rule:
            answered = _answered(plan, child, child.method.train(child.lesson, run))
        else:
            place = run.child(child.name)
            train(plan, child, run, place)
            answered = outcome.read_all(place)
        if not answered:
            raise DataError(f"{child.name} has nothing to predict: its split has no {child.method.parts}.")
        answers += [Answer(split=child.split, model=p.model, k=child.k, predictions=p) for p in answered]
    # Models beside a method, such as the members of a stack, are averaged as plain outputs.
    average: dict[str, str] = {answer.model: "outputs" for answer in answers}
    average |= {method.name: method.average for method in plan.methods}
    return OutOfFold(answers=tuple(answers), average=average)


def train(plan: Plan[D], child: Child[D], run: Run, place: Run) -> None:
    """Bring one child run to its end: trained under the present configuration, and its predictions written."""
    if is_finished(run, place):
        return
    with place.active():
        # An extended run has another configuration, and its children train on under it.
        if not _has_same_config(run, place):
            sealed.write_json(place.config_file, run.config())
        # Before training: a resume on changed data must stop here, not train on other subjects.
        child.lesson.splits.keep(place.splits_file)
        predictor = child.method.train(child.lesson, place)
        answers = _answered(plan, child, predictor)
        # Taken after training: a child that is trained on has another digest, and its old predictions no longer count.
        source = outcome.digest(place)
        outcome.write(place, [replace(each, source=source) for each in answers], main=child.method.name)


def train_leaf(plan: Plan[D], path: str, run: Run) -> None:
    """Train the child run of that path alone."""
    name, _, rest = path.partition("/")
    children = {child.name: child for child in plan.children}
    if name not in children:
        raise ConfigError(f"Run {run.name} has no child {name!r}.{did_you_mean(name, children)}")
    child, place = children[name], run.child(name)
    if not rest:
        train(plan, child, run, place)
    elif child.method.inner is None:
        raise ConfigError(f"{name} of run {run.name} has no children, so there is no {path}.")
    else:
        if not sealed.has(place.config_file):
            sealed.write_json(place.config_file, run.config())
        train_leaf(child.method.inner(child.lesson), rest, place)


def is_finished(run: Run, place: Run) -> bool:
    """Say whether a child run is at its end under the present configuration, and its predictions are of this end.

    One whose checkpoints or predictions do not hold is not: it goes on from an older checkpoint, and predicts again.
    """
    if place.status()["state"] != "done":
        return False
    return _has_same_config(run, place) and outcome.holds(place) and outcome.is_current(place)


def _has_same_config(run: Run, place: Run) -> bool:
    return sealed.has(place.config_file) and place.config() == run.config()


def _answered(plan: Plan[D], child: Child[D], predictor: Predictor[D]) -> list[Predictions]:
    """Ask a predictor, and those beside it, about each part of the split that the method predicts."""
    predictors = {child.method.name: predictor, **predictor.beside}
    answered = []
    for part in child.method.parts:
        ids = child.lesson.splits.part(part)
        for model, each in predictors.items() if ids else ():
            table = plan.table(plan.data, ids, np.asarray(each.answer(plan.data, ids)), part)
            seed = None if child.method.is_single or child.method.is_rule else child.k
            selected = child.method.selected if model == child.method.name else ""
            answered.append(replace(table, model=model, seed=seed, selected=selected))
    return answered


def load(run: Run, method: Method[D], children: Sequence[str]) -> list[Predictor[D]]:
    """The trained predictors of a method, from the child runs of these names."""
    if method.load is None:
        raise RunError(f"{method.name} is a rule; it is fitted anew where it is needed.")
    places = [run.child(name) for name in children if outcome.method_of(name) == method.name]
    missing = [place.name for place in places if not place.status_file.exists()]
    if missing or not places:
        absent = f" ({missing[0]} is missing)" if missing else ""
        raise RunError(
            f"Run {run.name} has no trained {method.name}{absent}. Finish it with `{command('resume', run.folder)}`."
        )
    return [method.load(place) for place in places]


def predict(run: Run, method: Method[D], data: D, ids: Sequence[str], table: Table[D]) -> Predictions:
    """Ask every trained predictor of a method about data that the run has not seen; their mean is the answer."""
    children = run.kept(run.environment_file).get("children", ())
    outputs = [np.asarray(each.answer(data, ids)) for each in load(run, method, children)]
    return replace(table(data, ids, ensemble.mean_of(outputs, method.average), "new"), model=method.name)
