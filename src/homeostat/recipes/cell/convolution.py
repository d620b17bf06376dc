"""A 3-D convolution that leaves out the taps which see padding alone."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class CutConv3d(nn.Module):
    """The same convolution without the taps that see padding alone: at the end of a ResNet-18, whose input had 28
    voxels a side, they are 26 of 27."""

    def __init__(self, whole: nn.Conv3d) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        whole = self.whole
        weight, padding = whole.weight, [int(pad) for pad in whole.padding]
        for axis, (side, kernel, stride) in enumerate(
            zip(x.shape[2:], whole.kernel_size, whole.stride, strict=True)
        ):
            pad = padding[axis]
            if pad and side + 2 * pad - kernel < stride:  # the result has one place along this axis
                weight, padding[axis] = weight.narrow(axis + 2, pad, min(side, kernel - pad)), 0
        if weight is whole.weight:
            uncut: Tensor = whole(x)
            return uncut
        return functional.conv3d(x, weight, None, whole.stride, tuple(padding))
