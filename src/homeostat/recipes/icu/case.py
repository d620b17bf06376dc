"""What audits may try their laws on: the recipe's own network, batches, loss and splits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from homeostat.audits.base import Case, Fitted
from homeostat.config import to_plain
from homeostat.data.ragged import Array
from homeostat.data.scaling import Scaler
from homeostat.data.splits import Splits
from homeostat.recipes.icu import training
from homeostat.recipes.icu.cohort import Batch, Cohort
from homeostat.recipes.icu.config import Config
from homeostat.run import Run


def case(config: Config, run: Run, cohort: Cohort, splits: Splits, static: Scaler) -> Case:
    """The untrained latent ODE (or the network of the run) on the training stays."""
    kind = config.model if config.model in ("ode-rnn", "gru-d") else "latent-ode"
    rows = np.sort(splits.rows(cohort.ids, "train"))
    valid = np.sort(splits.rows(cohort.ids, "valid"))
    network = training.prepared(kind, config, cohort, rows)
    task = training.training(network, config, cohort, rows, valid)
    known = rows[np.isfinite(cohort.label[rows])]
    return Case(
        name=f"icu {kind}",
        model=network,
        batch=lambda places: cohort.gather(known[places]),
        count=len(known),
        loss=task.loss,
        predict=probability,
        padded=padded,
        augment=task.batches.augment,
        targets=cohort.label[known].astype(np.float64)[:, None],
        splits=splits,
        subjects=dict(zip(cohort.ids, cohort.subjects, strict=True)),
        content=lambda identity: content(cohort, cohort.ids.index(identity)),
        scalers=(static,),
        fitted=(Fitted(name="curves of the variables", fitted_on="train"),),
        config=to_plain(config),
        select=task.select,
        run=run,
    )


def probability(model: nn.Module, batch: Batch) -> Tensor:
    """(B, 1) of death in hospital."""
    told: Tensor = model(batch).logits[:, :1].sigmoid()
    return told


def padded(batch: Batch, more: int) -> Batch:
    """The same stays with `more` further moments that are none. Observations stand in one row and need no padding."""
    return replace(
        batch,
        moments=functional.pad(batch.moments, (0, more), value=0.5),
        real=functional.pad(batch.real, (0, more)),
    )


def content(cohort: Cohort, row: int) -> bytes:
    """What is measured of a stay and when, without its name."""
    own = slice(cohort.offsets[row], cohort.offsets[row + 1])
    parts: list[Array] = [cohort.time[own], cohort.variable[own], cohort.value[own], cohort.static[row]]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
