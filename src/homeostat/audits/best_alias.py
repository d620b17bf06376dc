"""The best state is a copy. A reference to live parameters is whatever training ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Trial


@dataclass(frozen=True)
class Best:
    """The weights that were put aside as the best."""

    absent: ClassVar[str] = "no best state is at hand"

    weights: Mapping[str, Tensor]


@law("The best state does not share memory with live parameters.")
def best_alias(trial: Trial, best: Best) -> Finding | None:
    # keep_vars: the parameters themselves, whose memory is what matters; empty tensors all have address 0.
    live = {
        value.data_ptr(): name
        for name, value in trial.model.state_dict(keep_vars=True).items()
        if value.numel()
    }
    shared = [name for name, value in best.weights.items() if value.numel() and value.data_ptr() in live]
    if not shared:
        return None
    return Finding(
        audit=best_alias.name,
        severity="fatal",
        what=f"{len(shared)} of {len(best.weights)} tensors of the best state are the live parameters, the first "
        f"is {shared[0]}.",
        evidence={"shared": len(shared)},
        cause="state_dict().copy() copies the dictionary, not the tensors.",
        advice="Clone every tensor: {name: value.detach().clone() for name, value in state_dict().items()}.",
    )
