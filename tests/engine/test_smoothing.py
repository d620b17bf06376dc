"""Label smoothing moves targets towards a half, symmetrically, and does nothing when it is off."""

from __future__ import annotations

import pytest
import torch

from homeostat.engine.smoothing import smooth
from homeostat.errors import ConfigError


def test_both_ends_move_by_half_the_amount() -> None:
    assert smooth(torch.tensor([0.0, 0.5, 1.0]), 0.1).tolist() == pytest.approx([0.05, 0.5, 0.95])


def test_off_returns_the_targets_themselves() -> None:
    targets = torch.tensor([0.0, 1.0])
    assert smooth(targets, 0.0) is targets


@pytest.mark.parametrize("amount", [-0.1, 1.0])
def test_impossible_amounts_are_refused(amount: float) -> None:
    with pytest.raises(ConfigError, match="label smoothing .* must be at least 0"):
        smooth(torch.zeros(1), amount)
