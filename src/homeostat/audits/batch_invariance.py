"""A prediction does not depend on who else is in the batch: a patient's risk is not the neighbour's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from homeostat.audits.base import Finding, Severity, law
from homeostat.audits.given import Trial

# One batch and six single rows: enough to tell, and cheap enough for the start of every run.
ROWS = 6
# Sums of float32 in another order differ by some 1e-6; adaptive solvers by their tolerance. Faults differ by tenths.
TOLERANCE = 1e-3
# A loss alone says less: a mean over observations instead of samples differs by some per cent, and is no leak.
SMALL = 0.02
# Untrained networks say nearly the same of everybody; less than this share of it is rounding.
LEAST_SPREAD = 0.01


@law("A prediction alone equals the prediction in any batch.")
def batch_invariance(trial: Trial) -> Finding | None:
    with trial.at_rest():
        return _by_loss(trial) if trial.predict is None else _by_prediction(trial, trial.predict)


def _by_prediction(trial: Trial, predict: Callable[[nn.Module, Any], Tensor]) -> Finding | None:
    rows = trial.rows(ROWS)
    together, again, *each = (
        predict(trial.model, trial.batch(chosen)).detach().double()
        for chosen in [rows, rows, *(rows[k : k + 1] for k in range(len(rows)))]
    )
    if any(answer[0].shape != together.shape[1:] for answer in each):
        return _by_loss(trial)  # one output per step: the loss knows which steps count
    alone = torch.cat(each)
    if not torch.equal(together, again):
        return None  # not repeatable; another audit says so
    # By their spread: a health of 0.9 that moves by 0.001 has moved by a fiftieth of what tells cells apart.
    unit = max(float(together.std(dim=0).max()), LEAST_SPREAD * float(together.abs().max()), 1e-6)
    apart = _largest(alone - together) / unit
    if apart <= TOLERANCE:
        return None
    row = int((alone - together).abs().nan_to_num(torch.inf).reshape(len(rows), -1).amax(1).argmax())
    return _finding(
        f"Row {int(rows[row])} is predicted {_short(alone[row])} alone and {_short(together[row])} in a batch of "
        f"{len(rows)}: predictions move by up to {apart:.2g} of their spread.",
        apart,
    )


def _by_loss(trial: Trial) -> Finding | None:
    rows = trial.rows(ROWS)
    whole, count = trial.loss_of(trial.batch(rows), len(rows))
    if not math.isclose(whole, trial.loss_of(trial.batch(rows), len(rows))[0], rel_tol=1e-6):
        return None
    parts = [trial.loss_of(trial.batch(rows[k : k + 1]), 1) for k in range(len(rows))]
    total = sum(weight for _, weight in parts)
    mean = sum(loss * weight for loss, weight in parts) / max(total, 1e-12)
    apart = abs(mean - whole) / max(abs(whole), 1e-6)
    if apart <= TOLERANCE or not (math.isfinite(whole) and math.isfinite(mean)):
        return None
    return _finding(
        f"The loss of {len(rows)} rows together is {whole:.4g}, but one by one {mean:.4g} on average (over "
        f"{count:g} and {total:g} valid entries).",
        apart,
        "note" if apart < SMALL else "serious",
    )


def _finding(what: str, apart: float, severity: Severity = "fatal") -> Finding:
    return Finding(
        audit=batch_invariance.name,
        severity=severity,
        what=what,
        evidence={"relative difference": apart},
        cause="Padding that is read as data (a flip of padded sequences, a missing mask), samples that attend to each "
        "other (a 2-D batch taken for one sequence), one time grid for all, batch statistics in eval mode, or a mean "
        "over something else than `Loss.count`.",
        advice="Mask the padding, reverse by true length, give every sample its own times, and compare one row alone "
        "with the same row in a batch until they agree.",
    )


def _largest(differences: Tensor) -> float:
    return float(differences.abs().nan_to_num(torch.inf).max())


def _short(value: Tensor) -> str:
    return f"{float(value.flatten()[0]):.4g}"
