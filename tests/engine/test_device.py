"""A device that was asked for and does not exist is an error; a batch moves whole."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from homeostat.engine import device
from homeostat.errors import ConfigError

META = torch.device("meta")


@dataclass(frozen=True)
class Batch:
    ids: torch.Tensor
    parts: tuple[torch.Tensor, dict[str, torch.Tensor]]
    name: str = "x"


def test_every_tensor_of_a_batch_moves_and_nothing_else_changes() -> None:
    batch = Batch(torch.arange(3), (torch.zeros(2), {"y": torch.ones(1)}))
    moved = device.move(batch, META)
    assert isinstance(moved, Batch)
    assert {moved.ids.device, moved.parts[0].device, moved.parts[1]["y"].device} == {META}
    assert moved.name == "x"
    assert device.move(batch, torch.device("cpu")) is batch


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test says is missing")
def test_a_device_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match=r"device cuda was asked for, but there is none .* Use --device auto"
    ):
        device.choose("cuda")
    assert device.choose("auto") == (torch.device("cpu"), "no CUDA device found")
