"""A network of the user's own in the place of the residual network: the recipe encodes, and adds the prior.

Shapes: a batch is (B, C, D, H, W), as in model.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from homeostat.methods.seat import Seat, own_network
from homeostat.recipes.cell.model import Encoding, ResNet3d, channels_after, encode


class OwnNet3d(nn.Module):
    """Volumes as stored -> (B,) logits of a network that is given encoded volumes."""

    def __init__(self, network: nn.Module, *, encoding: Encoding, unit: float) -> None:
        super().__init__()
        self.network, self.encoding = network, encoding
        self.unit: Tensor
        self.register_buffer("unit", torch.tensor(unit))
        self.priors: Tensor
        self.register_buffer("priors", torch.tensor([0.5, 0.5]))
        self.offset: Tensor
        self.register_buffer("offset", torch.zeros(()))

    def forward(self, volume: Tensor) -> Tensor:
        logits: Tensor = self.network(encode(volume, self.encoding, self.unit)) + self.offset
        return logits

    def start_at_prior(self, share: float, natural: float) -> OwnNet3d:
        """Add the logit of how common yes is among the samples that it is shown to every output."""
        self.priors.copy_(torch.tensor([share, natural]))
        self.offset.fill_(math.log(share / (1 - share)))
        return self


Net3d = ResNet3d | OwnNet3d


def replaced(address: str, ours: ResNet3d, volume: Tensor) -> OwnNet3d:
    """Put the network at an address in the place of ours, after it has been tried on these volumes."""
    encoding, unit = ours.encoding, float(ours.unit)
    encoded = encode(volume, encoding, unit)
    with torch.no_grad():
        output = ours.eval()(volume)
    seat = Seat(
        sizes={"channels": channels_after(encoding, volume.shape[1]), "sides": tuple(volume.shape[2:])},
        inputs={"volume": encoded},
        output=output,
        meaning="one logit per volume",
    )
    return OwnNet3d(own_network(address, seat), encoding=encoding, unit=unit)
