"""The recipe's own network, batches, loss and splits, for audits to try their laws on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from homeostat.audits.case import Absent, Case
from homeostat.audits.inputs import Inputs
from homeostat.audits.leakage import Contents
from homeostat.audits.masking import MaskedLoss
from homeostat.audits.normaliser import Normaliser
from homeostat.audits.padding import Padding
from homeostat.audits.provenance import Fitted
from homeostat.audits.start_loss import Prior, implied
from homeostat.audits.support import labels_of
from homeostat.audits.tolerance import Solve
from homeostat.data.ragged import Array
from homeostat.engine import checkup
from homeostat.methods.method import Lesson
from homeostat.recipes.icu import training
from homeostat.recipes.icu.cohort import HOURS, Batch, Cohort
from homeostat.recipes.icu.config import OWN, Config, Network
from homeostat.recipes.icu.latent import GRID
from homeostat.recipes.icu.view import View, scales
from homeostat.run import Run


def case(config: Config, run: Run, lesson: Lesson[View]) -> Case:
    """The untrained latent ODE (or the network of the run) on the training stays."""
    kind: Network = OWN if config.network else "latent-ode"
    if config.model == "ode-rnn" or config.model == "gru-d":  # mypy narrows this, not `in`
        kind = config.model
    view, splits = lesson.data, lesson.splits
    cohort, rows = view.cohort, view.rows(splits.train)
    known = rows[np.isfinite(cohort.label[rows])]
    task = training.task_of(kind, config, lesson)
    place = {identity: row for row, identity in enumerate(cohort.ids)}
    labels = cohort.label[known].astype(np.float64)[:, None]
    parts = {part: known_labels(view, splits.part(part)) for part in ("valid", "test")}
    solve = Solve(adaptive=False, step_size=config.step_h / HOURS, times=GRID)
    return checkup.case_of_recipe(
        f"icu {kind}",
        task,
        probability,
        config=config,
        run=run,
        splits=splits,
        subjects=dict(zip(cohort.ids, cohort.subjects, strict=True)),
        values=(
            Inputs(("value", "time", "static")),
            Padding(padded),
            Prior(loss=implied(labels, "binary"), term="death"),
            *labels_of(labels, parts),
            Contents(lambda identity: content(cohort, place[identity])),
            *(
                Normaliser(name=each.names[0], ids=each.ids, ids_digest=each.ids_digest)
                for each in scales(run)
            ),
            Fitted(name="scale of the statistics", fitted_on="train"),
            *(() if kind in ("gru-d", OWN) else (solve,)),
            Absent(
                MaskedLoss,
                "stays with unknown outcome are left out; further outcomes are averaged over all entries on "
                "purpose, so that a few known ones do not weigh like many",
            ),
        ),
    )


def known_labels(view: View, ids: Sequence[str]) -> Array:
    """(n, 1). The challenge keeps the outcomes of its test stays to itself."""
    labels: Array = view.cohort.label[view.rows(ids)].astype(np.float64)
    known: Array = labels[np.isfinite(labels)][:, None]
    return known


def probability(model: nn.Module, batch: Batch) -> Tensor:
    """Probabilities of death in hospital, (B, 1)."""
    outputs: Tensor = model(batch).logits[:, :1].sigmoid()
    return outputs


def padded(batch: Batch, more: int) -> Batch:
    """The same stays with `more` further moments without observations. Observations need no padding."""
    return replace(
        batch,
        moments=functional.pad(batch.moments, (0, more), value=0.5),
        real=functional.pad(batch.real, (0, more)),
    )


def content(cohort: Cohort, row: int) -> bytes:
    """The measurements of a stay and their times, without its name. Two stays without any are no copies."""
    if cohort.offsets[row] == cohort.offsets[row + 1]:
        return cohort.ids[row].encode()
    own = slice(cohort.offsets[row], cohort.offsets[row + 1])
    parts: list[Array] = [cohort.time[own], cohort.variable[own], cohort.value[own], cohort.static[row]]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
