"""The first network of the first split, with its volumes, loss and donors, for audits to try their laws on."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from homeostat.audits.base import Case, Fitted
from homeostat.audits.start_loss import implied
from homeostat.config import to_plain
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
    labels = {
        part: label(store, volumes.rows(ids)) for part in ("valid", "test") if (ids := splits.part(part))
    }
    return Case(
        name="cell network",
        model=task.model,
        batch=task.batches.gather,
        count=task.batches.count,
        loss=task.loss,
        inputs=("volume",),
        predict=probability,
        augment=task.batches.augment,
        # Of the rows as they are shown: balanced, the rarer class comes round again.
        start=implied(label(store, learn.places(config, rows)), "binary"),
        start_term="bce",
        targets=label(store, rows.train),
        labels=labels,
        splits=splits,
        subjects=dict(zip(volumes.ids, volumes.groups, strict=True)),
        content=lambda identity: np.asarray(store["voxels"][place[identity]]).tobytes(),
        fitted=tuple(fitted(config, store)),
        config=to_plain(config),
        select=task.select,
        best=checkup.put_aside(task, config.fit),
        mechanisms=("balance",) if config.balance else (),
        run=run,
        untried={
            "near_duplicates": "volumes of one kind look alike; identical ones are looked for",
            "normaliser": "the encoding is made of constants and of each volume's own brightness",
        },
    )


def label(store: Store, rows: Array) -> Array:
    """(n, 1)"""
    return np.asarray(store["label"][rows], np.float64)[:, None]


def fitted(config: Config, store: Store) -> list[Fitted]:
    """What is read off the training part besides the weights."""
    found = [Fitted(name="prior that outputs are corrected from", fitted_on="train")]
    if store.meta["kind"] == "photons" and config.augment.equalise:
        found.append(Fitted(name="brightness that stacks are equalised to", fitted_on="train"))
    return found


def probability(model: nn.Module, batch: Batch) -> Tensor:
    """(B, 1)"""
    outputs: Tensor = model(batch.volume).float().sigmoid()[:, None]
    return outputs
