"""The cell recipe: from folders of volumes to probabilities, with every donor tested by models that never saw it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.special import expit

from homeostat.data.ragged import Array
from homeostat.data.splits import Splits
from homeostat.data.store import Explanation, Store
from homeostat.engine.export import best_weights
from homeostat.engine.state import load_weights
from homeostat.errors import DataError, RunError
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.evaluate.recalibrate import PriorShift
from homeostat.files import read_json, write_json
from homeostat.recipes.cell import learn, protocol, yardstick
from homeostat.recipes.cell.case import case
from homeostat.recipes.cell.config import PRESETS, Config
from homeostat.recipes.cell.learn import Lesson
from homeostat.recipes.cell.model import ResNet3d
from homeostat.recipes.cell.prepare import explain as explain_store
from homeostat.recipes.cell.prepare import prepare as prepare_store
from homeostat.recipes.cell.scores import BAYES, MODEL, POSSIBLE, scores
from homeostat.recipes.cell.simulate import simulate
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run

PARTS: tuple[Split, ...] = ("valid", "test")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What models said about the volumes of one part, gathered over splits: (row of the store, probability)."""

    rows: list[Array] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)

    def add(self, rows: Array, outputs: Array) -> None:
        self.rows.append(rows)
        self.outputs.append(outputs)

    def mean(self) -> tuple[Array, Array]:
        """Each row once; one that validated several splits has the mean of what was said of it."""
        rows, outputs = np.concatenate(self.rows), np.concatenate(self.outputs)
        unique, place = np.unique(rows, return_inverse=True)
        return unique, np.bincount(place, outputs) / np.bincount(place)


def prepare(config: Config, data: Path, stores: Path) -> Store:
    return prepare_store(data, stores, config.data)


def explain(config: Config, data: Path, stores: Path) -> Explanation:
    return explain_store(data, stores, config.data)


def make_cells(folder: Path, seed: int) -> None:
    """Simulated cells of six donors."""
    simulate(folder, seed)


def train(config: Config, run: Run, store: Store) -> None:
    """A child run per split and seed; predictions of every volume by the networks that had not seen its group."""
    with run.active():
        name, reason = protocol.choose(config, store)
        run.environment(protocol=name, protocol_reason=reason, volumes=store.meta["kind"])
        said = {(model, part): Told() for model in (MODEL, yardstick.NAME) for part in PARTS}
        splits = protocol.splits(config, store, name)
        if len(splits) == 1:
            next(iter(splits.values())).save(run.splits_file)
        for split_name, split in splits.items():
            told = of_split(replace(config, protocol=name), run, store, split_name, split)
            for (model, part), (rows, outputs) in told.items():
                said[model, part].add(rows, outputs)
        for (model, part), what in said.items():
            if what.rows:
                rows, outputs = what.mean()
                label = f"-{model}" if model != MODEL else ""
                made = table(store, rows, outputs, model, part)
                predictions.write(made, run.predictions / f"{part}{label}.parquet")
                if model == MODEL and "bayes" in store:
                    best = table(store, rows, expit(np.asarray(store["bayes"])[rows]), BAYES, part)
                    predictions.write(best, run.folder / POSSIBLE / f"{part}.parquet")


def of_split(
    config: Config, run: Run, store: Store, name: str, split: Splits
) -> dict[tuple[str, Split], tuple[Array, Array]]:
    """What the networks and the yard-stick of one split say about its validation and test volumes."""
    ids = [str(volume) for volume in store["volume"]]
    rows = {part: np.sort(split.rows(ids, part)) for part in ("train", *PARTS)}
    lesson = Lesson(store=store, train=rows["train"], valid=rows["valid"])
    asked = [part for part in PARTS if len(rows[part])]
    outputs: dict[Split, list[Array]] = {part: [] for part in asked}
    for seed in range(config.fit.seed, config.fit.seed + config.seeds):
        child = inside(run, f"{name}.seed{seed}")
        split.save(child.splits_file)
        model = learn.train(config, lesson, child, seed)
        for part in asked:
            output = corrected(config, model, asked_of(config, model, store, rows[part]))
            made = table(store, rows[part], output, MODEL, part, seed=seed)
            predictions.write(made, child.predictions / f"{part}.parquet")
            outputs[part].append(output)
    told = {(MODEL, part): (rows[part], np.mean(outputs[part], axis=0)) for part in asked}
    if config.yardstick:
        for part in asked:
            told[yardstick.NAME, part] = rows[part], yardstick.probabilities(store, rows["train"], rows[part])
    return told


def inside(run: Run, name: str) -> Run:
    """A child run that carries the configuration of its parent, so that it can be exported and reported."""
    child = run.child(name)
    if not child.config_file.exists():
        write_json(child.config_file, run.config())
    return child


def asked_of(config: Config, model: ResNet3d, store: Store, rows: Array) -> Array:
    """What a network says of these rows, looked at from several sides."""
    return learn.probabilities([model], store, rows, config.views, config.augment.symmetries)


def corrected(config: Config, model: ResNet3d, output: Array) -> Array:
    """Moved from the prior that the network met in training to the one that is expected; `protocol` is resolved."""
    trained, natural = model.priors.tolist()
    expected = config.expected_prior
    if expected is None:
        expected = 0.5 if config.protocol == "leave-one-out" else natural
    shifted: Array = PriorShift(trained=trained, expected=expected, fitted_on="train")(output)
    return shifted


def table(
    store: Store, rows: Array, outputs: Array, model: str, part: Split, *, seed: int | None = None
) -> Predictions:
    """The predictions of some rows of the store."""
    subjects = protocol.subjects_of(store)
    names = [str(volume) for volume in store["volume"]]
    group = str(store.meta["group_name"])
    return Predictions.build(
        "binary",
        part,
        ids=[names[row] for row in rows],
        subjects=[subjects[row] for row in rows],
        names=(str(store.meta["classes"][1]),),
        targets=np.asarray(store["label"])[rows],
        outputs=outputs,
        groups={group: [subjects[row] for row in rows]} if group else {},
        model=model,
        seed=seed,
    )


def predict(config: Config, run: Run, data: Path, out: Path) -> None:
    """The mean over all networks of the run, for volumes with or without labels."""
    children = [child for child in run.children() if child.checkpoints.is_dir()]
    if not children:
        raise RunError(
            f"Run {run.name} has no trained network. Finish it with `homeostat resume {run.folder}`."
        )
    store = prepare_store(data, Path(str(run.config()["stores"])), config.data)
    # As the run decided on its own data: the new ones may hold one donor, or no split.
    trained = read_json(run.environment_file)
    if store.meta["kind"] != trained["volumes"]:
        raise DataError(
            f"{data} holds {store.meta['kind']} volumes; run {run.name} learnt from {trained['volumes']}."
        )
    resolved = replace(config, protocol=trained["protocol"])
    rows = np.arange(len(store["volume"]))
    outputs = []
    for child in children:
        model = learn.network(config, store, seed=0)
        load_weights(model, best_weights(child))
        outputs.append(corrected(resolved, model, asked_of(config, model, store, rows)))
    predictions.write(table(store, rows, np.mean(outputs, axis=0), MODEL, "new"), out)


recipe = Recipe(
    name="cell",
    summary="Volumes into two classes: cells by their fluorescence decay, organs by their shape.",
    config=Config,
    prepare=prepare,
    explain=explain,
    train=train,
    predict=predict,
    scores=scores,
    simulate=make_cells,
    case=case,
    presets=PRESETS,
)
