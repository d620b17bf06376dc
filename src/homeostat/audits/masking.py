"""A mask masks: a masked entry moves neither the loss nor what the loss is divided by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from homeostat.audits.base import Finding, law

# Rounding of a mean over some twenty entries is below 1e-6.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class MaskedLoss:
    """A loss of which some entries are masked."""

    absent: ClassVar[str] = "no masked targets are at hand"

    of: Callable[[Tensor, Tensor, Tensor], Tensor]
    """(outputs, targets, mask), each (B, K), -> the scalar loss."""


@law("Changing a masked output changes no loss, and the normaliser is the number of valid entries.")
def masking(masked: MaskedLoss) -> Finding | None:
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(8, 6, generator=random)
    targets = (torch.rand(8, 6, generator=random) < 0.5).float()
    mask = torch.rand(8, 6, generator=random) < 0.4
    loss = float(masked.of(outputs, targets, mask))
    # Three is far beyond rounding for logits drawn from a standard normal.
    moved = float(masked.of(torch.where(mask, outputs, outputs + 3), targets, mask))
    if abs(moved - loss) > TOLERANCE * max(abs(loss), 1e-6):
        return _finding(
            f"Changing outputs that are masked moves the loss from {loss:.4g} to {moved:.4g}.",
            "The mask is applied to the wrong tensor, inverted, or not at all.",
            {"before": loss, "after": moved},
        )
    # The same known entries among twice as many rows that are all masked: the mean over valid entries stays.
    empty = torch.zeros(8, 6)
    diluted = float(
        masked.of(torch.cat([outputs, empty]), torch.cat([targets, empty]), torch.cat([mask, empty.bool()]))
    )
    if abs(diluted - loss) <= TOLERANCE * max(abs(loss), 1e-6):
        return None
    share = 1 - float(mask.float().mean())
    # A masked output of 0 has the loss ln 2 whatever the target: the "plateau" of the chest X-ray guide was this sum.
    floor = math.log(2) * share
    return _finding(
        f"With as many masked rows added, the loss of the same known entries goes from {loss:.4g} to {diluted:.4g}: "
        "it is divided by all entries, not by the valid ones.",
        "Masked entries count as outputs of 0 with a loss of ln 2 each or shrink the gradient. With "
        f"{share:.0%} masked the loss cannot fall below about {floor:.3f}: it looks like a plateau and is arithmetic.",
        {"before": loss, "diluted": diluted, "masked share": share},
    )


def _finding(what: str, cause: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        audit=masking.name,
        severity="fatal",
        what=what,
        evidence=evidence,
        cause=cause,
        advice="Compute the loss without reduction, multiply it by the mask, sum it and divide by the mask's sum.",
    )
