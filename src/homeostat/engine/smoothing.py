"""How sure may a binary target be? Label smoothing, which is off unless a recipe asks for it."""

from __future__ import annotations

from torch import Tensor

from homeostat.errors import ConfigError


def smooth(targets: Tensor, amount: float) -> Tensor:
    """Move targets in [0, 1] towards a half: y (1 - a) + a / 2."""
    if not 0 <= amount < 1:
        raise ConfigError(f"label smoothing {amount} must be at least 0 (off) and below 1.")
    return targets if amount == 0 else targets * (1 - amount) + amount / 2
