"""One way to treat four kinds of model: train on these stays, or read from a run, then predict those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from homeostat.data.ragged import Array
from homeostat.engine.export import best_weights
from homeostat.engine.state import load_weights
from homeostat.files import write_json
from homeostat.recipes.icu import training
from homeostat.recipes.icu.cohort import Cohort
from homeostat.recipes.icu.config import Config, Member
from homeostat.run import Run

Predictor = Callable[[Cohort, Array], Array]
"""(cohort, rows) -> probability of death in hospital."""


def train(
    kind: Member, config: Config, cohort: Cohort, rows: Array, valid: Array, unlabelled: Array, run: Run
) -> Predictor:
    """Trained on `rows` in that run; a run that is done gives its model at once."""
    if kind == "xgboost" or kind == "survival":  # mypy narrows this, not `in`
        from homeostat.recipes.icu import trees  # slow to load, and most commands need none

        with run.active():
            grown = trees.grow(kind, cohort, rows, config.fit.seed, trees_file(run))
        return lambda stays, asked: trees.probabilities(grown, stays, asked)
    network = training.train_network(kind, config, cohort, rows, valid, unlabelled, run)
    return lambda stays, asked: training.probabilities(network, stays, asked)


def read(kind: Member, config: Config, variables: int, static: int, run: Run) -> Predictor:
    """The trained model of a run."""
    if kind == "xgboost" or kind == "survival":  # mypy narrows this, not `in`
        from homeostat.recipes.icu import trees  # slow to load, and most commands need none

        grown = trees.read(trees_file(run))
        return lambda stays, asked: trees.probabilities(grown, stays, asked)
    network = training.build(kind, config, variables, static)
    load_weights(network, best_weights(run))
    network.eval()
    return lambda stays, asked: training.probabilities(network, stays, asked)


def trees_file(run: Run) -> Path:
    return run.checkpoints / "xgboost.json"


def inside(run: Run, name: str) -> Run:
    """A child run that carries the configuration of its parent, so that it can be exported and reported."""
    child = run.child(name)
    if not child.config_file.exists():
        write_json(child.config_file, run.config())
    return child


def in_stack(config: Config, kind: Member) -> Config:
    """A member is scored once, at its end: what chose its epoch could not vouch for it out of fold."""
    recurrent = kind in ("gru-d", "ode-rnn")
    epochs = config.recurrent_epochs if recurrent else config.fit.epochs
    return replace(config, early_stop_patience=0, fit=replace(config.fit, epochs=epochs, patience=0))
