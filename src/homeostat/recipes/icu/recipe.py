"""The intensive-care recipe: from folders of stays to probabilities of death in hospital."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from homeostat.audits.case import Case
from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.engine.export import best_weights
from homeostat.engine.state import load_weights
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import Predictions
from homeostat.methods import crossfit
from homeostat.methods.method import Lesson, Method, Plan
from homeostat.methods.network import network
from homeostat.methods.scores import of_run
from homeostat.methods.stack import stack
from homeostat.recipes.icu import case as cases
from homeostat.recipes.icu import prepare, training, trees
from homeostat.recipes.icu.cohort import Batch
from homeostat.recipes.icu.config import OWN, PRESETS, Config, Kind, Model, Network
from homeostat.recipes.icu.latent import LatentOde
from homeostat.recipes.icu.paths import paths
from homeostat.recipes.icu.simulate import simulate
from homeostat.recipes.icu.view import (
    View,
    check_outcomes,
    new_view,
    protocol_of,
    roster,
    scales,
    table,
    training_view,
)
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run
from homeostat.task.task import Task

YARDSTICK: Model = "xgboost"


def plan(config: Config, run: Run, store: Store) -> Plan[View]:
    """The model of the run, beside boosted trees, on the training stays of one split."""
    protocol = protocol_of(config, store)
    check_outcomes(store, protocol)
    view = training_view(config, run, store, protocol)
    kinds = [kind_of(config)]
    members = config.members if config.model == "stack" else ()
    if config.yardsticks and YARDSTICK not in (config.model, *members):
        kinds.append(YARDSTICK)
    return Plan(
        data=view,
        protocol=protocol,
        methods=tuple(method_of(kind, config, view) for kind in kinds),
        table=table,
        seed=config.fit.seed,
        seeds=config.seeds,
    )


def kind_of(config: Config) -> Kind:
    """The model of the run: one of ours, or the user's own network."""
    return OWN if config.network else config.model


def method_of(kind: Kind, config: Config, view: View) -> Method[View]:
    """The method of that name. A network has the number of variables and descriptors of the view."""
    if kind == "stack":
        members = [method_of(member, config, view) for member in config.members]
        return stack(members, table=table, roster=roster, folds=config.folds, split_seed=config.split_seed)
    if kind == "xgboost" or kind == "survival":  # mypy narrows this, not `in`
        return trees.method(kind)
    return network_of(kind, config, view)


def network_of(kind: Network, config: Config, view: View) -> Method[View]:
    """A network that is chosen by AUROC on validation; the latent ODE learns to reconstruct first."""

    def task(lesson: Lesson[View]) -> Task[Batch]:
        return training.task_of(kind, config, lesson)

    def pretrain(lesson: Lesson[View], task: Task[Batch], run: Run) -> None:
        training.pretrain(task.model, config, training.settings(kind, config, lesson, task), lesson, run)

    def answer(model: nn.Module, stays: View, ids: Sequence[str]) -> Array:
        return training.probabilities(model, stays.cohort, stays.rows(ids))

    return network(
        kind,
        task=task,
        settings=lambda lesson, task: training.settings(kind, config, lesson, task),
        before=pretrain if kind == "latent-ode" and config.pretrain_epochs else None,
        answer=answer,
        blank=lambda run: training.build(kind, config, view.cohort),
        average="logits",
        selected="best valid/auroc",
    )


def finish(config: Config, run: Run, store: Store) -> None:
    """Write the courses of a few stays for the report, where the model of the run has a path."""
    if kind_of(config) != "latent-ode":
        return
    first = plan(config, run, store).children[0]
    cohort = first.lesson.data.cohort
    model = training.build("latent-ode", config, cohort)
    load_weights(model, best_weights(run.child(first.name)))
    assert isinstance(model, LatentOde)
    part = first.method.parts[-1] if first.lesson.splits.test else "valid"
    rows = first.lesson.data.rows(first.lesson.splits.part(part))
    courses = paths(model.eval(), cohort, rows, scales(run)[0], part)
    predictions.write(courses, run.predictions / "curves" / f"{part}.parquet")


def predict(config: Config, run: Run, store: Store) -> Predictions:
    """Predict stays with or without known outcome."""
    view = new_view(run, store)
    return crossfit.predict(run, method_of(kind_of(config), config, view), view, view.cohort.ids, table)


def case(config: Config, run: Run, store: Store) -> Case:
    """The untrained network on the training stays of this run, for the doctor."""
    return cases.case(config, run, plan(config, run, store).children[0].lesson)


recipe = Recipe(
    name="icu",
    summary="Death in hospital from the first 48 hours in intensive care: latent ODE, ODE-RNN, GRU-D, xgboost, stack.",
    config=Config,
    blueprint=lambda config, raw: prepare.blueprint(raw, config.data),
    plan=plan,
    predict=predict,
    finish=finish,
    scores=of_run,
    simulate=simulate,
    case=case,
    presets=PRESETS,
)
