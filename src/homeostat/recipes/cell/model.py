"""3-D residual networks, and how they start.

Shapes: a batch is (B, C, D, H, W); for photon stacks D is time. Volumes come as they are stored (counts, grey
values, masks) and are encoded here, so that whoever holds the weights holds the encoding too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.errors import ConfigError, did_you_mean
from homeostat.plugin.address import is_address

NetworkName = Literal["tiny", "small", "time", "resnet18", "resnet50"]
Norm = Literal["batch", "group"]
Encoding = Literal["decay", "photons", "decay+photons", "scaled"]
"""decay: counts relative to the brightness of their cell, and beside them the decay of the whole cell; photons: log of
the counts; scaled: divided by `unit`."""

Triple = tuple[int, int, int]
# Counts of these orders become numbers of order one under the logarithm (the seed divides by ten).
PHOTON_SCALE = 10.0
# The peak of a decay is five to ten times its mean.
DECAY_SCALE = 4.0
# So that the start's loss is the entropy of the prior: the last layer's outputs are this small beside its bias.
LAST_LAYER_STD = 1e-2


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The parts of a network of some name."""

    stem: tuple[tuple[Triple, Triple], ...]
    """Kernel and stride of the convolutions before the blocks."""
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[Triple, ...]
    """Stride of the first block of each stage."""
    stem_width: int
    pooled: tuple[Triple, ...] = ()
    """Max-pooling after the stem (one entry) or after each stage (as many as stages)."""
    bottleneck: bool = False
    hidden: int = 0
    """Width of a layer between pooling and output."""
    channels_last: bool = False
    """Keep the channels of a voxel side by side on a CPU. Faster for wide maps and few weights; the gradient of each
    weight is copied back, which costs a network of millions more than it gains."""


_TWO: Triple = (2, 2, 2)
_ONE: Triple = (1, 1, 1)
LAYOUTS: Mapping[NetworkName, Layout] = {
    # For a thousand volumes of 28 voxels a side: 0.3 million weights, 27 million multiplications.
    "tiny": Layout(
        stem=(((3, 3, 3), _TWO),),
        stem_width=16,
        widths=(32, 64),
        blocks=(1, 1),
        strides=(_TWO, _TWO),
        channels_last=True,
    ),
    "small": Layout(
        stem=(((3, 3, 3), _TWO),),
        stem_width=16,
        widths=(16, 32, 64),
        blocks=(1, 1, 1),
        strides=(_ONE, _TWO, _TWO),
        channels_last=True,
    ),
    # The seed's network: a stem over time alone, three stages, pooling in time after the second and third.
    "time": Layout(
        stem=(((7, 1, 1), _ONE), ((3, 1, 1), (2, 1, 1))),
        stem_width=32,
        widths=(32, 64, 128),
        blocks=(1, 1, 1),
        strides=(_ONE, (1, 2, 2), (1, 2, 2)),
        pooled=(_ONE, (2, 1, 1), (2, 1, 1)),
        hidden=64,
    ),
    "resnet18": Layout(
        stem=(((7, 7, 7), _TWO),),
        stem_width=64,
        widths=(64, 128, 256, 512),
        blocks=(2, 2, 2, 2),
        strides=(_ONE, _TWO, _TWO, _TWO),
        pooled=(_TWO,),
    ),
    "resnet50": Layout(
        stem=(((7, 7, 7), _TWO),),
        stem_width=64,
        widths=(64, 128, 256, 512),
        blocks=(3, 4, 6, 3),
        strides=(_ONE, _TWO, _TWO, _TWO),
        pooled=(_TWO,),
        bottleneck=True,
    ),
}
BOTTLENECK = 4


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The network."""

    network: NetworkName | Literal["auto"] | str = "auto"
    """tiny and small for shapes; time is the seed's (stem over time); auto: time for photons, tiny for shapes. Or the
    address of a network of your own, such as ./my_net.py:Net (docs/cell.md)."""
    norm: Norm = "batch"
    """group does not depend on the batch, which pays for batches below eight."""
    channel_dropout: float = 0.1
    """Probability that a whole channel is silenced after each stage."""
    head_dropout: float = 0.2
    """Dropout of what the output is read from."""
    pooling: Literal["mean", "mean+max"] = "mean"
    """The summary of the last feature maps; the maximum sees a single thick spot that a mean would dilute."""
    zero_last_norm: bool = True
    """Each block starts as its shortcut (Goyal 2017), so that depth does not blow up the signal."""

    def __post_init__(self) -> None:
        names = ("auto", *LAYOUTS)
        if self.network not in names and not is_address(self.network):
            raise ConfigError(
                f"There is no network {self.network!r}.{did_you_mean(self.network, names)} "
                "One of your own has an address, such as ./my_net.py:Net."
            )


class ResNet3d(nn.Module):
    """Volumes as stored -> (B,) logits."""

    def __init__(
        self, config: NetworkConfig, name: NetworkName, *, channels: int, encoding: Encoding, unit: float
    ):
        super().__init__()
        layout = LAYOUTS[name]
        self.encoding, self.channels_last = encoding, layout.channels_last
        # A buffer and not a setting: new volumes are scaled as those of the training were, whatever their type.
        self.unit: Tensor
        self.register_buffer("unit", torch.tensor(unit))
        self.priors: Tensor
        self.register_buffer("priors", torch.tensor([0.5, 0.5]))
        width = channels_after(encoding, channels)
        self.stem = nn.Sequential()
        for kernel, stride in layout.stem:
            self.stem.append(conv(width, layout.stem_width, kernel, stride))
            self.stem.append(norm(config.norm, layout.stem_width))
            self.stem.append(nn.LeakyReLU(0.01))
            width = layout.stem_width
        if len(layout.pooled) == 1:
            self.stem.append(nn.MaxPool3d(3, layout.pooled[0], padding=1))
        pools = layout.pooled if len(layout.pooled) > 1 else (_ONE,) * len(layout.widths)
        self.stages = nn.Sequential()
        for out, count, stride, pool in zip(layout.widths, layout.blocks, layout.strides, pools, strict=True):
            self.stages.append(stage(config, layout, width, out, count, stride, pool))
            width = out * (BOTTLENECK if layout.bottleneck else 1)
        self.takes_max = config.pooling == "mean+max"
        width *= 2 if self.takes_max else 1
        self.head = head(config, width, layout.hidden)
        self.last = nn.Linear(layout.hidden or width, 1)
        self.apply(start)
        if config.zero_last_norm:
            for block in (part for part in self.modules() if isinstance(part, Block)):
                nn.init.zeros_(block.last_norm.weight)
        nn.init.normal_(self.last.weight, std=LAST_LAYER_STD)

    def forward(self, volume: Tensor) -> Tensor:
        encoded = encode(volume, self.encoding, self.unit)
        if self.channels_last and encoded.device.type == "cpu":
            encoded = encoded.contiguous(memory_format=torch.channels_last_3d)
        deep = self.stages(self.stem(encoded))
        pooled = deep.mean(dim=(2, 3, 4))
        if self.takes_max:
            pooled = torch.cat([pooled, deep.amax(dim=(2, 3, 4))], dim=1)
        logits: Tensor = self.last(self.head(pooled)).squeeze(1)
        return logits

    def start_at_prior(self, share: float, natural: float) -> ResNet3d:
        """The output begins at the logit of how common yes is among the samples it is shown. The weights remember that
        share, and how common yes was before any balancing."""
        with torch.no_grad():
            self.priors.copy_(torch.tensor([share, natural]))
            self.last.bias.fill_(math.log(share / (1 - share)))
        return self


class Block(nn.Module):
    """Two convolutions (three in a bottleneck) around a shortcut (He et al. 2015)."""

    def __init__(self, config: NetworkConfig, into: int, width: int, stride: Triple, *, bottleneck: bool):
        super().__init__()
        out = width * (BOTTLENECK if bottleneck else 1)
        cube: Triple = (3, 3, 3)
        if bottleneck:
            plan = [(into, width, _ONE, _ONE), (width, width, cube, stride), (width, out, _ONE, _ONE)]
        else:
            plan = [(into, width, cube, stride), (width, out, cube, _ONE)]
        self.last_norm = norm(config.norm, out)
        self.body = nn.Sequential()
        for place, (a, b, kernel, step) in enumerate(plan, start=1):
            self.body.append(conv(a, b, kernel, step))
            self.body.append(self.last_norm if place == len(plan) else norm(config.norm, b))
            if place < len(plan):
                self.body.append(nn.LeakyReLU(0.01))
        is_same = into == out and stride == _ONE
        self.shortcut = (
            nn.Identity() if is_same else nn.Sequential(conv(into, out, _ONE, stride), norm(config.norm, out))
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.body(x) + self.shortcut(x), 0.01)


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


def stage(
    config: NetworkConfig, layout: Layout, into: int, width: int, count: int, stride: Triple, pool: Triple
) -> nn.Sequential:
    layers = nn.Sequential()
    for place in range(count):
        layers.append(
            Block(config, into, width, stride if place == 0 else _ONE, bottleneck=layout.bottleneck)
        )
        into = width * (BOTTLENECK if layout.bottleneck else 1)
    if pool != _ONE:
        layers.append(nn.MaxPool3d(pool))
    if config.channel_dropout:
        layers.append(nn.Dropout3d(config.channel_dropout))
    return layers


def head(config: NetworkConfig, width: int, hidden: int) -> nn.Sequential:
    layers = nn.Sequential()
    if hidden:
        # Layer and not batch normalisation: it has no statistics of other samples, and a batch of one may train.
        layers.extend([nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.01)])
    if config.head_dropout:
        layers.append(nn.Dropout(config.head_dropout))
    return layers


def conv(into: int, out: int, kernel: Triple, stride: Triple) -> nn.Module:
    """Padded to keep the size. No bias: the normalisation that follows would take it away again."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    whole = nn.Conv3d(into, out, kernel, stride, padding=padding, bias=False)
    return CutConv3d(whole) if any(padding) else whole


def norm(kind: Norm, width: int) -> nn.BatchNorm3d | nn.GroupNorm:
    return nn.BatchNorm3d(width) if kind == "batch" else nn.GroupNorm(math.gcd(8, width), width)


def start(part: nn.Module) -> None:
    """Kaiming for convolutions (He 2015, fan out). Linear layers keep torch's own start: the seed's fix gave the last
    one Kaiming's too, and with it logits of +-8 and a first loss of 3 instead of 0.69."""
    if isinstance(part, nn.Conv3d):
        nn.init.kaiming_normal_(part.weight, a=0.01, mode="fan_out", nonlinearity="leaky_relu")


def channels_after(encoding: Encoding, channels: int) -> int:
    return channels * {"decay": 2, "decay+photons": 3}.get(encoding, 1)


def encode(volume: Tensor, encoding: Encoding, unit: Tensor | float) -> Tensor:
    """Stored numbers as numbers of order one."""
    if encoding == "scaled":
        return volume.float() / unit
    counts = volume.float()
    photons = torch.log1p(counts) / PHOTON_SCALE
    if encoding == "photons":
        return photons
    # Relative to the cell's own mean count: brightness differs between donors for reasons that are not biology. Linear,
    # so that a mean over pixels is still the decay of the cell; a logarithm of single photons would bend it.
    decay = counts / counts.mean(dim=(1, 2, 3, 4), keepdim=True).clamp(min=1e-6)
    whole = decay.mean(dim=(3, 4), keepdim=True).expand_as(decay)
    seen = [decay / DECAY_SCALE, whole / DECAY_SCALE]
    return torch.cat(seen if encoding == "decay" else [*seen, photons], dim=1)
