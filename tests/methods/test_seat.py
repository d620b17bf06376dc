"""A network of one's own is tried on one batch, and what does not fit is named with what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from homeostat.errors import ConfigError
from homeostat.methods.seat import Seat, own_network

SEAT = Seat(
    sizes={"channels": 2, "side": 8},
    inputs={"image": torch.ones(4, 2, 8), "age": torch.ones(4)},
    output=torch.zeros(4),
    meaning="one logit per image",
)
SOUND = """
from torch import nn

class Net(nn.Module):
    def __init__(self, channels, side, width=3):
        super().__init__()
        self.layer = nn.Linear(channels * side + 1, 1)

    def forward(self, image, age):
        import torch
        return self.layer(torch.cat([image.flatten(1), age[:, None]], 1))[:, 0]
"""


def network(outside: Path, source: str) -> torch.nn.Module:
    (outside / "my.py").write_text(source)
    return own_network("./my.py:Net", SEAT)


def test_a_network_that_fits_is_made_with_the_sizes_that_it_asks_for(outside: Path) -> None:
    own = network(outside, SOUND)
    assert own.layer.weight.shape == (1, 17)
    assert own.training


def test_sizes_are_optional(outside: Path) -> None:
    source = SOUND.replace("(self, channels, side, width=3)", "(self)").replace("channels * side", "16")
    assert network(outside, source).layer.weight.shape == (1, 17)
    source = SOUND.replace("channels, side, width=3", "side, **others").replace(
        "channels *", "others['channels'] *"
    )
    assert network(outside, source).layer.weight.shape == (1, 17)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[:, 0]", "", "returns shape (4, 1) for 4 samples; expected a tensor of shape (4,): one logit per image. "
         "It is given image (4, 2, 8), age (4,)."),
        ("[:, 0]", "[:, 0].expand(4)", "returns shape (4,) for 1 samples; expected a tensor of shape (1,)"),
        ("[:, 0]", "[:, 0] > 0", "returns numbers of type torch.bool; expected a tensor of shape (4,)"),
        ("[:, 0]", "[:, 0] / 0 * 0", "returns NaN or infinity before it is trained"),
        ("return self", "return {}, self", "returns tuple; expected a tensor of shape (4,)"),
        ("+ 1, 1)", "+ 2, 1)", "fails on 4 samples: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        ("+ 1, 1)", "+ 2, 1)", "my.py:11; expected a tensor of shape (4,)"),
        ("image, age", "image", "fails on 4 samples: TypeError"),
        ("side, width=3", "side, width", "asks for width; this recipe gives channels=2, side=8. Take these names"),
        ("super().__init__()", "1 / 0", "cannot be made with channels=2, side=8: ZeroDivisionError: division by zero"),
        ("class Net(nn.Module)", "class Net", "./my.py:Net is the class Net; expected a class of networks"),
        ("Net", "Net2", "has no 'Net'; expected a class of networks: class Net(torch.nn.Module). Did you mean 'Net2'?"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_what_was_expected(
    outside: Path, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as error:
        network(outside, SOUND.replace(old, new))
    assert sentence in str(error.value)
