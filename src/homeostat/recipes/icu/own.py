"""A network of the user's own that reads stays on a grid of hours, as the recurrent networks do.

B stays, V variables, R bins of an hour, S descriptors of the stay.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from homeostat.methods.seat import Seat, own_network
from homeostat.recipes.icu.cohort import Batch
from homeostat.recipes.icu.latent import OUTPUTS, Read, Size
from homeostat.recipes.icu.recurrent import GruD, bins


class OwnReader(nn.Module):
    """Stays -> outcomes by a network that is given a grid."""

    def __init__(self, network: nn.Module, variables: int) -> None:
        super().__init__()
        self.network, self._variables = network, variables
        self.offset: Tensor
        self.register_buffer("offset", torch.zeros(OUTPUTS))

    def forward(self, batch: Batch, reconstruct: bool = False) -> Read:
        return Read(self.network(*grid(batch, self._variables).values()) + self.offset)


def grid(batch: Batch, variables: int) -> dict[str, Tensor]:
    """The inputs of the network by name."""
    hours = bins(batch, variables)
    return {"value": hours.value, "seen": hours.seen, "gap": hours.gap, "static": batch.static}


def replaced(address: str, ours: GruD, size: Size, batch: Batch) -> OwnReader:
    """Put the network at an address in the place of ours, after it has been tried on these stays."""
    with torch.no_grad():
        output = ours.eval()(batch).logits
    seat = Seat(
        sizes={"variables": size.variables, "static": size.static, "outputs": OUTPUTS},
        inputs=grid(batch, size.variables),
        output=output,
        meaning="logits of death in hospital, then three severity scores and death within five horizons",
    )
    return OwnReader(own_network(address, seat), size.variables)
