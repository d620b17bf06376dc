"""The commands as functions, for notebooks and scripts: the same runs, the same files, the same sentences."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

import homeostat
from homeostat.audits.base import Finding
from homeostat.cli import background, judge
from homeostat.cli import doctor as examination
from homeostat.cli import train as training
from homeostat.config import changed_keys, from_plain, to_plain
from homeostat.errors import ConfigError, RunError, did_you_mean
from homeostat.evaluate import predictions
from homeostat.evaluate.tables import tables
from homeostat.plugin.address import address_of
from homeostat.recipes import find
from homeostat.run import Run, create, is_unbegun, named, open_run, sealed


def run_at(folder: Path | str, **settings: Any) -> Run:
    """Return the run of your own in this folder; it is made on first use, so that a cell can be run again.

    `settings` go into config.json: `run_at("runs/mine", fit=Settings(seed=1), width=16)`. Runs whose settings differ in
    their seed alone are one method to `compare`. Other settings need another folder; `fit.epochs` alone may change.
    """
    path, wanted = Path(folder), to_plain(settings)
    if not Run(path).config_file.exists():
        # An empty recipe says that only the code that made the run can go on with it (origin.py).
        plain = {"recipe": "", "homeostat": homeostat.__version__, "data": "", "stores": "", "code": {}}
        return create(path, {**plain, "config": wanted})
    run = open_run(path)
    known = run.config()
    if known.get("recipe"):
        raise RunError(
            f"{path} is a run of the recipe {known['recipe']}. Choose another folder for a run of your own."
        )
    apart = changed_keys(known.get("config", {}), wanted)
    # More epochs continue a training; any other change would make two trainings of one run.
    foreign = [line for line in apart if not line.startswith("fit.epochs:")]
    if foreign:
        raise RunError(
            f"{path} was made with other settings ({'; '.join(foreign)}). Choose another folder, and compare the two."
        )
    if apart:
        sealed.write_json(run.config_file, {**known, "config": wanted})
    return run


def train(
    recipe: str,
    data: Path | str,
    run: Path | str | None = None,
    *,
    preset: str | None = None,
    stores: Path | str = "stores",
    detach: bool = False,
    **settings: Any,
) -> Run:
    """Train a recipe, by name or address. Settings are those of the command line: `epochs=3, learning_rate=0.01`.

    `network` may be a class that was imported from a file, or its address. A run that exists already goes on, so a
    cell can be run again. With `detach` another process trains; the cell returns when it has begun.
    """
    chosen = find(recipe)
    config = changed(chosen.preset(preset), settings)
    if not Path(data).exists():
        raise ConfigError(f"data {str(data)!r} does not exist.")
    folder = named(Path("runs"), chosen.name) if run is None else Path(run)
    begun = Run(folder).config_file.exists() and not is_unbegun(Run(folder))
    trained = (
        training.again(chosen, config, folder)
        if begun
        else training.begin(chosen, config, folder, Path(data), Path(stores))
    )
    if detach:
        background.detach(trained, None)
    else:
        training.execute(trained)
    return trained


def changed(config: Any, settings: Mapping[str, Any]) -> Any:
    """The same configuration with some settings changed, each named as its flag is."""
    plain = to_plain(config)
    places = dict(_places(plain))
    for name, value in settings.items():
        if name not in places:
            raise ConfigError(f"There is no setting {name!r}.{did_you_mean(name, places)}")
        places[name][name] = str(address_of(value)) if isinstance(value, type) else to_plain(value)
    return from_plain(type(config), plain)


def _places(plain: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of each setting, and the part of the plain configuration that holds it."""
    for name, value in plain.items():
        if isinstance(value, dict):
            yield from _places(value)
        else:
            yield name, plain


def evaluate_run(run: Run | Path | str) -> pl.DataFrame:
    """Score the prediction files of a run, write metrics.json, and return the table of scores."""
    opened = run if isinstance(run, Run) else open_run(Path(run))
    judge.score(opened)
    return tables(opened).scores


def predict(run: Run | Path | str, data: Path | str) -> pl.DataFrame:
    """Predict new data with the best model of a run of a recipe."""
    answers, _ = judge.answer(run if isinstance(run, Run) else open_run(Path(run)), Path(data))
    with tempfile.TemporaryDirectory(prefix="homeostat-predict-") as scratch:
        return pl.read_parquet(predictions.write(answers, Path(scratch) / "new.parquet"))


def doctor(what: Run | Path | str) -> tuple[Finding, ...]:
    """Try the laws of sound training on a run, or on a recipe by name or address; the gravest finding comes first."""
    if not isinstance(what, Run) and examination.is_recipe(str(what)):
        return examination.examine_recipe(find(str(what)), examination.Options()).findings
    run = what if isinstance(what, Run) else open_run(Path(what))
    return examination.examine_folder(run, examination.Options()).findings
