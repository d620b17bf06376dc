"""Measurements that are read off the live model, as plain numbers. Guards read them without loading torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Look:
    """Numbers read off the live model: at the end of an epoch around its last step, and after an evaluation."""

    gradients: Mapping[str, float] = field(default_factory=dict)
    """Norm of the gradient of each trainable parameter, in the model's order; None became 0."""
    moved: Mapping[str, float] = field(default_factory=dict)
    """How far the step moved each trainable parameter, as a norm."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Norm of each trainable parameter."""
    strayed: Sequence[str] = ()
    """Parameters and buffers that changed during an evaluation, when no optimiser was at work."""
    first_bad: str = ""
    """The first part of the model, in the order of the forward pass, whose output is not finite."""
