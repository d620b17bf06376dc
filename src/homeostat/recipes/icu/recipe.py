"""The intensive-care recipe: from folders of stays to probabilities of death in hospital."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from homeostat.audits.case import Case
from homeostat.data.ragged import Array
from homeostat.data.scaling import Scaler
from homeostat.data.splits import Splits, by_subject, predefined
from homeostat.data.store import Explanation, Store
from homeostat.engine.export import best_weights
from homeostat.engine.state import load_weights
from homeostat.evaluate import predictions as prediction_files
from homeostat.evaluate.predictions import Predictions
from homeostat.recipes.icu import case as cases
from homeostat.recipes.icu import cohort as cohorts
from homeostat.recipes.icu import members, stack, training
from homeostat.recipes.icu import prepare as preparing
from homeostat.recipes.icu.cohort import Cohort
from homeostat.recipes.icu.config import Config, Member
from homeostat.recipes.icu.curves import Curves
from homeostat.recipes.icu.latent import LatentOde
from homeostat.recipes.icu.paths import paths
from homeostat.recipes.icu.simulate import simulate
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run, open_run

SETS = {"a": "train", "b": "valid", "c": "test"}
AGE_BANDS = (50, 65, 80)
UNITS = {1: "coronary", 2: "cardiac surgery", 3: "medical", 4: "surgical"}
TARGET = "death"
YARDSTICK: Member = "xgboost"


@dataclass(frozen=True, kw_only=True)
class Data:
    """A store as the models of one run see it."""

    store: Store
    splits: Splits
    cohort: Cohort

    def rows(self, *parts: str) -> Array:
        return np.sort(np.concatenate([self.splits.rows(self.cohort.ids, part) for part in parts]))


def prepare(config: Config, data: Path, stores: Path) -> Store:
    return preparing.prepare(data, stores, config.data)


def explain(config: Config, data: Path, stores: Path) -> Explanation:
    return preparing.explain(data, stores, config.data)


def train(config: Config, run: Run, store: Store) -> None:
    """Split, fit, predict. Everything that is done already is read, not done again."""
    with run.active():
        data = load(config, run, store)
        if config.model == "stack":
            train_stack(config, run, data)
        else:
            train_one(config.model, config, run, data)


def load(config: Config, run: Run, store: Store) -> Data:
    """Splits and scales are made once per run and kept in it."""
    if run.splits_file.exists():
        splits = Splits.load(run.splits_file).check_fingerprint(store.fingerprint)
    else:
        splits = split(config, store)
        splits.save(run.splits_file)
    rows = np.sort(splits.rows([str(stay) for stay in store["stay"]], "train"))
    run.checkpoints.mkdir(exist_ok=True)
    if not static_file(run).exists():
        cohorts.fit_curves(store, rows).save(curves_file(run))
        cohorts.fit_static(store, rows).save(static_file(run))
    cohort = cohorts.load(store, Curves.load(curves_file(run)), Scaler.load(static_file(run)))
    return Data(store=store, splits=splits, cohort=cohorts.standardise(cohort, rows))


def curves_file(run: Run) -> Path:
    return run.checkpoints / "curves.json"


def static_file(run: Run) -> Path:
    return run.checkpoints / "static.json"


def split(config: Config, store: Store) -> Splits:
    """The challenge's sets where a and b are there, otherwise by subject, deaths dealt evenly."""
    ids, subjects, groups = ([str(value) for value in store[name]] for name in ("stay", "subject", "group"))
    if {"a", "b"} <= set(groups):
        parts = [SETS.get(group) for group in groups]
        return predefined(ids, subjects, parts, fingerprint=store.fingerprint)
    strata = [str(value) for value in store["label"]]
    return by_subject(ids, subjects, seed=config.split_seed, fingerprint=store.fingerprint, strata=strata)


def unlabelled(config: Config, data: Data) -> Array:
    """Stays of the pre-training, whose outcomes are not read; never those of the test."""
    return data.rows(*config.pretrain_on.split("+"))


def train_one(kind: Member, config: Config, run: Run, data: Data) -> None:
    rows, valid = data.rows("train"), data.rows("valid")
    predict = members.train(kind, config, data.cohort, rows, valid, unlabelled(config, data), run)
    write(run, data, kind, predict, config.fit.seed)
    if kind == "latent-ode":
        write_paths(config, run, data)
    if config.yardstick and kind != YARDSTICK:
        child = members.inside(run, YARDSTICK)
        beside = members.train(YARDSTICK, config, data.cohort, rows, valid, rows, child)
        write(run, data, YARDSTICK, beside, config.fit.seed, beside=True)


def write_paths(config: Config, run: Run, data: Data) -> None:
    """What the report draws of the first stays of the last part."""
    network = training.build("latent-ode", config, data.cohort.variables, data.cohort.static.shape[1])
    load_weights(network, best_weights(run))
    assert isinstance(network, LatentOde)
    part = parts(data)[-1]
    made = paths(network.eval(), data.cohort, data.rows(part), Curves.load(curves_file(run)), part)
    prediction_files.write(made, run.predictions / "curves" / f"{part}.parquet")


def train_stack(config: Config, run: Run, data: Data) -> None:
    made = stack.train(config, data.cohort, data.rows("train"), unlabelled(config, data), run)
    for part in parts(data):
        rows = data.rows(part)
        told = made.members(data.cohort, rows)
        write_part(run, data, part, rows, "stack", made.combine(told), config.fit.seed)
        for name, probability in told.items():
            write_part(run, data, part, rows, name, probability, config.fit.seed, beside=True)


def parts(data: Data) -> list[str]:
    return [part for part in ("valid", "test") if data.splits.part(part)]


def write(
    run: Run, data: Data, model: str, predict: members.Predictor, seed: int, *, beside: bool = False
) -> None:
    for part in parts(data):
        rows = data.rows(part)
        write_part(run, data, part, rows, model, predict(data.cohort, rows), seed, beside=beside)


def write_part(
    run: Run,
    data: Data,
    part: str,
    rows: Array,
    model: str,
    probability: Array,
    seed: int,
    *,
    beside: bool = False,
) -> None:
    """One prediction file, with the groups that a score is looked at by."""
    made = Predictions.build(
        "binary",
        "test" if part == "test" else "valid",
        ids=[data.cohort.ids[row] for row in rows],
        subjects=[data.cohort.subjects[row] for row in rows],
        names=(TARGET,),
        targets=data.cohort.label[rows],
        outputs=probability,
        groups=groups(data.store, rows),
        model=model,
        seed=seed,
        selected="best valid/auroc" if model in ("latent-ode", "ode-rnn", "gru-d") and not beside else "",
    )
    name = f"{part}-{model}.parquet" if beside else f"{part}.parquet"
    prediction_files.write(made, run.predictions / name)


def groups(store: Store, rows: Array) -> dict[str, list[str]]:
    """Unit, age band and sex, as far as the data tell them."""
    names = list(store.meta["static_names"])
    held = np.asarray(store["static"])[rows]
    found = {}
    if "ICUType" in names:
        found["unit"] = [UNITS.get(kind, "unknown") for kind in held[:, names.index("ICUType")]]
    if "Age" in names:
        found["age"] = [age_band(age) for age in held[:, names.index("Age")]]
    if "Gender" in names:
        sexes = {0: "female", 1: "male"}
        found["sex"] = [sexes.get(value, "unknown") for value in held[:, names.index("Gender")]]
    return {name: values for name, values in found.items() if set(values) != {"unknown"}}


def age_band(age: float) -> str:
    if np.isnan(age):
        return "unknown"
    above = sum(age >= limit for limit in AGE_BANDS)
    if above == 0:
        return f"below {AGE_BANDS[0]}"
    if above == len(AGE_BANDS):
        return f"{AGE_BANDS[-1]} and above"
    return f"{AGE_BANDS[above - 1]} to {AGE_BANDS[above] - 1}"


def predict(config: Config, run: Run, data: Path, out: Path) -> None:
    """record_id and probability for every stay of a folder or table, with or without outcomes."""
    store = preparing.prepare(data, Path(run.config()["stores"]), config.data)
    curves, static = Curves.load(curves_file(run)), Scaler.load(static_file(run))
    cohort = cohorts.load(store, curves, static)
    rows = np.arange(len(cohort.ids))
    size = (cohort.variables, cohort.static.shape[1])
    if config.model == "stack":
        made = stack.read(config, *size, run)
        probability = made.combine(made.members(cohort, rows))
    else:
        probability = members.read(config.model, config, *size, run)(cohort, rows)
    frame = pl.DataFrame({"record_id": list(cohort.ids), "probability": probability})
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    out.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(unfinished)
    os.replace(unfinished, out)


def scores(folder: Path) -> Mapping[str, Any]:
    """Scores with intervals, the model's own first, then its yard-sticks'."""
    from homeostat.evaluate import summary  # slow to load, and most commands need no statistics

    run = open_run(folder)
    model = run.config()["config"]["model"]
    files = sorted(run.predictions.glob("*.parquet"), key=lambda path: (len(path.stem), path.stem))
    return summary.summarise(files, ledger_file=run.ledger_file, settings=summary.Settings(model=model))


def case(config: Config, run: Run, store: Store) -> Case:
    """For the doctor: the untrained network on the training stays of this run."""
    data, scalers = load(config, run, store), (Scaler.load(static_file(run)), Curves.load(curves_file(run)))
    return cases.case(config, run, data.cohort, data.splits, scalers)


def smoke() -> Config:
    """Seconds on the simulated cohort."""
    small = Config(
        latent_dim=8, hidden_dim=32, ode_hidden_dim=16, pretrain_epochs=1, folds=2, recurrent_epochs=1
    )
    return replace(small, batch_size=64, fit=replace(small.fit, epochs=2))


def demo() -> Config:
    """Half a minute on the simulated cohort."""
    fit = Config().fit
    # A hundred steps: an average over as many would still hold the untrained weights.
    fit = replace(fit, epochs=8, optim=replace(fit.optim, average=0.95))
    return replace(Config(hidden_dim=128, batch_size=64), fit=fit)


recipe = Recipe(
    name="icu",
    summary="Death in hospital from the first 48 hours in intensive care: latent ODE, ODE-RNN, GRU-D, xgboost, stack.",
    config=Config,
    prepare=prepare,
    explain=explain,
    train=train,
    predict=predict,
    scores=scores,
    simulate=simulate,
    case=case,
    presets={"smoke": smoke, "demo": demo},
)
