"""The first network of the first split with its volumes, loss and donors, for audits to try their laws on."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from homeostat.audits.case import Absent, Case
from homeostat.audits.confounder import Recording
from homeostat.audits.inputs import Inputs
from homeostat.audits.leakage import Contents
from homeostat.audits.normaliser import Normaliser
from homeostat.audits.provenance import Fitted
from homeostat.audits.start_loss import Prior, implied
from homeostat.audits.support import labels_of
from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.engine import checkup
from homeostat.recipes.cell import learn
from homeostat.recipes.cell.cohort import Volumes, protocol_of
from homeostat.recipes.cell.config import Config
from homeostat.recipes.cell.learn import Batch
from homeostat.run import Run


def case(config: Config, run: Run, store: Store) -> Case:
    """The untrained network of the first split."""
    volumes = Volumes(store)
    splits = next(iter(protocol_of(config, volumes).splits.values()))
    rows = volumes.of(splits)
    task = learn.make_task(config, rows, config.fit.seed)
    place = {identity: row for row, identity in enumerate(volumes.ids)}
    parts = {part: label(store, volumes.rows(splits.part(part))) for part in ("valid", "test")}
    # Of the rows as they are shown: balanced, the rarer class comes round again.
    prior = implied(label(store, learn.places(config, rows)), "binary")
    return checkup.case_of_recipe(
        "cell network",
        task,
        probability,
        config=config,
        run=run,
        splits=splits,
        subjects=dict(zip(volumes.ids, volumes.groups, strict=True)),
        values=(
            Inputs(("volume",)),
            Prior(loss=prior, term="bce"),
            *labels_of(label(store, rows.train), parts),
            Contents(lambda identity: np.asarray(store["voxels"][place[identity]]).tobytes()),
            Absent(Normaliser, "the encoding is made of constants and of each volume's own brightness"),
            *fitted(config, store),
            *recording(store),
        ),
    )


def label(store: Store, rows: Array) -> Array:
    """(n, 1)"""
    return np.asarray(store["label"][rows], np.float64)[:, None]


def fitted(config: Config, store: Store) -> list[Fitted]:
    """Return what is read off the training part besides the weights."""
    values = [Fitted(name="prior that outputs are corrected from", fitted_on="train")]
    if store.meta["kind"] == "photons" and config.augment.equalise:
        values.append(Fitted(name="brightness that stacks are equalised to", fitted_on="train"))
    return values


def recording(store: Store) -> list[Recording]:
    """Return how the volumes were recorded, where their files say so."""
    if "recorded" not in store:
        return []
    label = np.asarray(store["label"], np.float64)
    return [Recording(store.meta["recorded_names"], np.asarray(store["recorded"]), label)]


def probability(model: nn.Module, batch: Batch) -> Tensor:
    """(B, 1)"""
    outputs: Tensor = model(batch.volume).float().sigmoid()[:, None]
    return outputs
