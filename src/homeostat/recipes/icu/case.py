"""The recipe's own network, batches, loss and splits, for audits to try their laws on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from homeostat.audits.case import Absent, Case
from homeostat.audits.given import Configuration, Folder, Splitting, Trial
from homeostat.audits.inputs import Inputs
from homeostat.audits.leakage import Contents
from homeostat.audits.masking import MaskedLoss
from homeostat.audits.normaliser import Normaliser
from homeostat.audits.padding import Padding
from homeostat.audits.provenance import Fitted
from homeostat.audits.selection import Selection
from homeostat.audits.start_loss import Prior, implied
from homeostat.audits.support import ScoredLabels, TrainingLabels
from homeostat.audits.tolerance import Solve
from homeostat.config import to_plain
from homeostat.data.ragged import Array
from homeostat.data.scaling import Scaler
from homeostat.data.splits import Splits
from homeostat.engine import checkup
from homeostat.recipes.icu import training
from homeostat.recipes.icu.cohort import HOURS, Batch, Cohort
from homeostat.recipes.icu.config import Config
from homeostat.recipes.icu.curves import Curves
from homeostat.recipes.icu.latent import GRID
from homeostat.run import Run


def case(
    config: Config, run: Run, cohort: Cohort, splits: Splits, scalers: Sequence[Scaler | Curves]
) -> Case:
    """The untrained latent ODE (or the network of the run) on the training stays."""
    kind = config.model if config.model in ("ode-rnn", "gru-d") else "latent-ode"
    rows = np.sort(splits.rows(cohort.ids, "train"))
    valid = np.sort(splits.rows(cohort.ids, "valid"))
    network = training.prepared(kind, config, cohort, rows)
    task = training.training(network, config, cohort, rows, valid)
    known = rows[np.isfinite(cohort.label[rows])]
    place = {identity: row for row, identity in enumerate(cohort.ids)}
    labels = cohort.label[known].astype(np.float64)[:, None]
    parts = {part: label(cohort, splits, part) for part in ("valid", "test")}
    solve = Solve(adaptive=False, step_size=config.step_h / HOURS, times=GRID)
    trial = Trial(
        model=network,
        batch=lambda places: cohort.gather(known[places]),
        count=len(known),
        loss=task.loss,
        predict=probability,
    )
    return Case(
        f"icu {kind}",
        (
            trial,
            Inputs(("value", "time", "static")),
            Padding(padded),
            *checkup.augmentation_of(task),
            Prior(loss=implied(labels, "binary"), term="death"),
            TrainingLabels(labels),
            *(ScoredLabels(split=part, targets=scored) for part, scored in parts.items() if len(scored)),
            Splitting(splits=splits, subjects=dict(zip(cohort.ids, cohort.subjects, strict=True))),
            Contents(lambda identity: content(cohort, place[identity])),
            *(Normaliser(name=each.names[0], ids=each.ids, ids_digest=each.ids_digest) for each in scalers),
            Fitted(name="scale of the statistics", fitted_on="train"),
            Configuration(to_plain(config)),
            *(() if kind == "gru-d" else (solve,)),
            Selection(task.select),
            checkup.put_aside(task, config.fit),
            Folder(run),
            Absent(
                MaskedLoss,
                "stays with unknown outcome are left out; further outcomes are averaged over all entries on "
                "purpose, so that a few known ones do not weigh like many",
            ),
        ),
    )


def label(cohort: Cohort, splits: Splits, part: str) -> Array:
    """(n, 1), of the stays whose outcome is known: the challenge keeps that of its test stays to itself."""
    labels: Array = cohort.label[splits.rows(cohort.ids, part)].astype(np.float64)
    known: Array = labels[np.isfinite(labels)][:, None]
    return known


def probability(model: nn.Module, batch: Batch) -> Tensor:
    """(B, 1) of death in hospital."""
    outputs: Tensor = model(batch).logits[:, :1].sigmoid()
    return outputs


def padded(batch: Batch, more: int) -> Batch:
    """The same stays with `more` further moments that are none. Observations stand in one row and need no padding."""
    return replace(
        batch,
        moments=functional.pad(batch.moments, (0, more), value=0.5),
        real=functional.pad(batch.real, (0, more)),
    )


def content(cohort: Cohort, row: int) -> bytes:
    """What is measured of a stay and when, without its name; two stays of which nothing is known are no copies."""
    if cohort.offsets[row] == cohort.offsets[row + 1]:
        return cohort.ids[row].encode()
    own = slice(cohort.offsets[row], cohort.offsets[row + 1])
    parts: list[Array] = [cohort.time[own], cohort.variable[own], cohort.value[own], cohort.static[row]]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
