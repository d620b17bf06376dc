"""A task is everything that `fit` needs: a model, its batches, a loss, and one declared score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from torch import Tensor, nn

from homeostat.data.batches import Batches

B = TypeVar("B")


@dataclass(frozen=True)
class Loss:
    """The loss of one batch or of one piece of it."""

    total: Tensor
    """Scalar, a mean over `count` valid entries; `fit` differentiates this and nothing else."""
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    """The named parts of the total, as scalars; their means are journaled as `train/<name>`."""
    numbers: Mapping[str, Tensor | float] = field(default_factory=dict)
    """Numbers for the journal that are not part of the loss: solver evaluations, share of masked entries. Guards
    read those of `task/numbers.py`."""
    count: Tensor | float | None = None
    """Valid entries behind the mean. None means the number of samples in the batch. It weighs the pieces of a
    batch that did not fit into memory at once, so that the gradient is that of the whole batch."""


@dataclass(frozen=True)
class Group:
    """Parameters whose names start with `prefix` learn at their own rate; the longest prefix wins."""

    prefix: str
    rate: float = 1.0
    """Multiplies the learning rate; 0 freezes the group (it is then left out of the optimiser)."""
    decay: float | None = None
    """Weight decay of this group; None takes the setting of the run."""


@dataclass(frozen=True, kw_only=True)
class Task(Generic[B]):
    """One thing to learn. Values and callables only; `fit` owns everything that evolves."""

    model: nn.Module
    batches: Batches[B]
    loss: Callable[[nn.Module, B], Loss]
    score: Callable[[nn.Module], Mapping[str, float]]
    """Called in eval mode without gradients, on the averaged model if averaging is on; reads validation data
    only and returns threshold-free scores by path, such as {"valid/auroc": 0.87}."""
    select: str
    """The one score that drives the best checkpoint, early stopping and the plateau schedule."""
    direction: Literal["max", "min"]
    groups: tuple[Group, ...] = ()
    remedies: Mapping[str, Callable[[float], None]] = field(default_factory=dict)
    """Remedies of the task's own under --heal, by their name: {"loosen_tolerance": widen, "change_solver":
    exchange}. Called with the factor of the remedy, once after the alarm and once after every resume."""
    islands: tuple[str, ...] = ()
    """Prefixes of submodules that stay in fp32 whatever the precision plan says."""
