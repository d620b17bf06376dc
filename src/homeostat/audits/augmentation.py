"""Augmentation changes samples by a sensible amount, and leaves masks and labels what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from homeostat.audits.base import Finding, law
from homeostat.audits.batch import tensors
from homeostat.audits.given import Trial

# Spread over all samples, so that one still sample does not decide.
ROWS = 16
# Root mean square change by spread of the input. Poisson noise on counts times 1000 changed 0.1 %; a sample that
# is drawn anew (another window of a record) changes by 1.4, more with a trend; five is no sample of these data.
LEAST, MOST = 0.005, 5.0
ANSWERS = ("label", "labels", "target", "targets", "y")


@dataclass(frozen=True)
class Augmentation:
    """The augmentation of a training."""

    absent: ClassVar[str] = "no augmentation is at hand"

    apply: Callable[[Any, int], Any]
    """(batch, epoch) -> the augmented batch."""


@law("Augmentation moves samples by a share of their spread, and masks stay masks.")
def augmentation(trial: Trial, augmented: Augmentation) -> Finding | None:
    plain = trial.batch(trial.rows(ROWS))
    # Epoch 1: some recipes store the piece that epoch 0 would draw, and there nothing moves (log/guards.md).
    changed = tensors(augmented.apply(plain, 1))
    shares = {}
    for name, value in tensors(plain).items():
        if name not in changed or changed[name].shape != value.shape or value.numel() == 0:
            continue
        if name in ANSWERS:
            continue  # soft labels are what mixing means
        if _is_mask(value) and not _is_mask(changed[name]):
            return _finding(
                f"Augmentation turns the mask {name} into fractions.",
                {},
                "Mixing or interpolating treats the mask as an image.",
            )
        if _is_mask(value):  # hiding observations is a change too
            shares[name] = float((changed[name] != value).float().mean())
        elif (spread := _spread(value)) > 0:
            moved = (changed[name].double() - value.double()).nan_to_num()
            shares[name] = float(moved.square().mean().sqrt()) / spread
    if not shares:
        return None
    name, largest = max(shares.items(), key=lambda item: item[1])
    if LEAST <= largest <= MOST:
        return None
    word = "hardly anything" if largest < LEAST else "nearly everything"
    return _finding(
        f"Augmentation changes {word}: {name} moves by {largest:.2g} of its spread.",
        {"change": largest},
        "Its strength is in other units than the data (noise on counts times 1000), or it is not switched on."
        if largest < LEAST
        else "Its strength is in other units than the data.",
    )


def _is_mask(value: Tensor) -> bool:
    # A single column of zeros and ones may be a number that happens to be one.
    return value.dtype == torch.bool or (value.dim() > 1 and bool(((value == 0) | (value == 1)).all()))


def _spread(value: Tensor) -> float:
    """Standard deviation of what is finite, counts and grey values included; 0 where there is nothing to spread."""
    known = value[value.isfinite()].double()
    return float(known.std(correction=0)) if known.numel() else 0.0


def _finding(what: str, evidence: dict[str, float], cause: str) -> Finding:
    return Finding(
        audit=augmentation.name,
        severity="serious",
        what=what,
        evidence=dict(evidence),
        cause=cause,
        advice="Give the strength in units of the training spread and look at ten augmented samples.",
    )
