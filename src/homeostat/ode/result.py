"""A solution holds states, their cost, and an outcome per sample: a failure is a value that carries its sentence."""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor


class SolverError(RuntimeError):
    """A sample could not be solved; the message names the samples, the reason and the remedy."""


class StartError(SolverError, ValueError):
    """A sample cannot be solved, because its first state is not finite."""


class Result(IntEnum):
    """Outcome of one sample's solve."""

    OK = 0
    MAX_STEPS = 1
    NONFINITE = 2
    STEP_TOO_SMALL = 3

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Result.OK: "",
    Result.MAX_STEPS: "max_steps was reached before the last observation. Raise max_steps, loosen rtol and atol, "
    "or look for a vector field that has become stiff.",
    Result.NONFINITE: "the state or its derivative became infinite or NaN. Check the inputs and the learning rate; "
    "a bounded activation (tanh) keeps a learned field finite.",
    Result.STEP_TOO_SMALL: "the step fell below what the time's dtype can resolve. The field is stiff or "
    "discontinuous there: loosen rtol and atol, or solve in float64.",
}


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Cost per sample, each a tensor (B,)."""

    evaluations: Tensor
    """Evaluations of the field in the forward solve."""
    evaluations_backward: Tensor
    """Evaluations of the field or of its derivative in the backward pass; zero until it has run."""
    accepted: Tensor
    rejected: Tensor
    smallest_step: Tensor
    """Length of the shortest accepted step; infinite where no step was taken."""
    largest_step: Tensor


@dataclass(frozen=True, kw_only=True)
class Solution:
    """States at the observation times: `ys` (B, T, ...). Masked times hold zeros, times not reached hold NaN."""

    ys: Tensor
    stats: Stats
    result: Tensor
    """A `Result` per sample, as integers (B,)."""
    method: str
    """One sentence on which solver ran and why."""

    def require_ok(self) -> "Solution":
        """Return this solution, or raise a SolverError that names the samples that failed."""
        failed = torch.nonzero(self.result).flatten().tolist()
        if not failed:
            return self
        reasons = []
        for code in sorted({int(self.result[index]) for index in failed}):
            indices = [index for index in failed if int(self.result[index]) == code]
            shown = ", ".join(map(str, indices[:8])) + (", ..." if len(indices) > 8 else "")
            noun = "Sample" if len(indices) == 1 else f"{len(indices)} samples:"
            reasons.append(f"{noun} {shown}: {Result(code).sentence}")
        raise SolverError("\n".join(reasons))
