"""The cell recipe: from folders of volumes to probabilities, with every donor tested by models that never saw it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit
from torch import nn

from homeostat.data.nifti import SAME_SPACING
from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.evaluate.predictions import BEST_FIRST, Predictions
from homeostat.evaluate.recalibrate import PriorShift
from homeostat.methods import crossfit, outcome
from homeostat.methods.method import Lesson, Method, Plan
from homeostat.methods.network import network
from homeostat.methods.protocol import Name
from homeostat.methods.scores import with_each, write_possible
from homeostat.methods.seat import OWN
from homeostat.plugin.address import is_address
from homeostat.recipes.cell import learn, pictures, prepare, yardstick
from homeostat.recipes.cell.case import case
from homeostat.recipes.cell.cohort import Volumes, protocol_of, table
from homeostat.recipes.cell.config import PRESETS, Config
from homeostat.recipes.cell.learn import Batch
from homeostat.recipes.cell.own import Net3d
from homeostat.recipes.cell.simulate import simulate
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run
from homeostat.task.task import Task

MODEL = "resnet3d"


def plan(config: Config, run: Run, store: Store) -> Plan[Volumes]:
    """The network on every split, with several seeds, beside a regression on plain measures."""
    volumes = Volumes(store)
    protocol = protocol_of(config, volumes)
    methods = [resnet(config, store, protocol.name)]
    if config.yardsticks:
        methods.append(yardstick.plain_measures())
    return Plan(
        data=volumes,
        protocol=protocol,
        methods=tuple(methods),
        table=table,
        seed=config.fit.seed,
        seeds=config.seeds,
        notes={"volumes": store.meta["kind"], "spacing_mm": store.meta.get("spacing_mm", [])},
    )


def resnet(config: Config, store: Store, protocol: Name) -> Method[Volumes]:
    """The 3-D network. Its outputs are moved to the prior that is expected under the protocol."""

    def task(lesson: Lesson[Volumes]) -> Task[Batch]:
        return learn.make_task(config, lesson.data.of(lesson.splits), lesson.seed)

    def answer(model: nn.Module, volumes: Volumes, ids: Sequence[str]) -> Array:
        assert isinstance(model, Net3d)
        output = learn.probabilities(
            model, volumes.store, volumes.rows(ids), config.views, config.augment.symmetries
        )
        return corrected(config, model, output, protocol)

    return network(
        OWN if is_address(config.model.network) else MODEL,
        task=task,
        settings=lambda lesson, task: learn.settings(config, lesson.seed, task),
        answer=answer,
        blank=lambda run: learn.network(config, store, seed=0),
    )


def corrected(config: Config, model: Net3d, output: Array, protocol: Name) -> Array:
    """Probabilities moved from the prior that the network met in training to the one that is expected."""
    trained, natural = model.priors.tolist()
    expected = config.expected_prior
    if expected is None:
        expected = 0.5 if protocol == "leave-one-out" else natural
    shifted: Array = PriorShift(trained=trained, expected=expected, fitted_on="train")(output)
    return shifted


def finish(config: Config, run: Run, store: Store) -> None:
    """Leave slices of some volumes for the report; of simulated truth, also what the best possible model says."""
    mine = [own for own in outcome.read_all(run) if own.model in (MODEL, OWN)]
    best = min(mine, key=lambda own: BEST_FIRST.index(own.split))
    pictures.leave(run, best, store)
    if "bayes" not in store:
        return
    volumes = Volumes(store)
    for own in mine:
        write_possible(run, own, expit(np.asarray(store["bayes"])[volumes.rows(own.ids.tolist())]))


def predict(config: Config, run: Run, store: Store) -> Predictions:
    """The mean over all networks of the run, for volumes with or without labels."""
    # As the run decided on its own data: the new ones may hold one donor, or no split.
    trained = run.kept(run.environment_file)
    if store.meta["kind"] != trained["volumes"]:
        raise DataError(
            f"The data hold {store.meta['kind']} volumes; run {run.name} learnt from {trained['volumes']}."
        )
    held, learnt = store.meta.get("spacing_mm", []), trained.get("spacing_mm", [])
    if held and learnt and not np.allclose(held, learnt, rtol=SAME_SPACING):
        sides = [" ".join(f"{side:g}" for side in spacing) for spacing in (learnt, held)]
        raise DataError(
            f"The data hold voxels of {sides[1]} mm; run {run.name} learnt from {sides[0]}. Train with "
            f"--spacing {sides[0]}: new data are then resampled to it."
        )
    volumes = Volumes(store)
    return crossfit.predict(run, resnet(config, store, trained["protocol"]), volumes, volumes.ids, table)


recipe = Recipe(
    name="cell",
    summary="Volumes into two classes: cells by their fluorescence decay, organs by their shape.",
    config=Config,
    blueprint=lambda config, raw: prepare.blueprint(raw, config.data),
    plan=plan,
    predict=predict,
    finish=finish,
    scores=with_each,
    simulate=simulate,
    case=case,
    presets=PRESETS,
)
