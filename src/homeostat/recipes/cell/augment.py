"""Changes of a volume that keep its answer, drawn per sample by address and applied to whole batches.

What is drawn for a sample depends on (seed, epoch, id) alone. Photon counts stay photon counts: a dimmer cell is a
thinned one (thinning a Poisson count gives a Poisson count), a brighter one gains photons drawn from its own decay.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from homeostat.config import Bound, check_bounds
from homeostat.data.ragged import Array
from homeostat.errors import ConfigError
from homeostat.recipes.cell.volumes import Kind
from homeostat.task.randomness import address

SYMMETRIES = tuple(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))
"""The 48 ways to put a cube back into its place: (order of axes, signs)."""
Symmetry = tuple[tuple[int, ...], tuple[int, ...]]
Turns = Literal["auto", "all", "mirror", "none"]
Strength = Annotated[float, Bound(at_least=0, why="; 0 is off")]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Augmentation in training."""

    symmetries: Turns = "auto"
    """all: the 48 symmetries of the cube, or the 8 of the image plane where the first axis is time; mirror: left and
    right, the first axis of space as NIfTI has it; none. auto: all for cells, which know no above and below; mirror for
    organs, which lie the same way in every scan, so that how they lie may tell something."""
    rotation_deg: Strength = 20.0
    """Largest further rotation; for photon stacks within the image plane."""
    zoom: Strength = 0.1
    """Largest relative change of size. Size can be what tells the classes apart: keep it small."""
    shift: Strength = 0.08
    """Largest shift along each spatial axis, as a share of its length."""
    time_shift: Strength = 0.015
    """Largest shift along time, as a share of its length (photon stacks)."""
    gain: Strength = 0.4
    """Largest relative change of brightness; photon counts are thinned or added to, grey values multiplied."""
    equalise: bool = True
    """Thin photon stacks to a brightness drawn for each, so that nothing about the class can be read off it. To divide
    by brightness is not enough: the noise still tells it. Takes the place of `gain` for photons."""
    mixup: Strength = 0.0
    """Parameter of the Beta distribution from which the share of a partner is drawn; 0 is off."""
    mixup_share: Strength = 0.3
    """Share of samples that get a partner."""

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.zoom >= 1 or self.gain >= 1:
            raise ConfigError(
                f"zoom {self.zoom} and gain {self.gain} must be below 1: nothing would be left."
            )


@dataclass(frozen=True)
class Change:
    """The changes of each sample of a batch."""

    matrix: Tensor
    """(B, 3, 4): where each voxel of the result is looked up, in the coordinates of `affine_grid` (x last axis)."""
    gain: Tensor
    """(B,)"""
    noise: Tensor
    """(B,) seeds of what is drawn per voxel."""


def symmetries(sides: Sequence[int], which: Turns, *, is_time: bool) -> list[Symmetry]:
    """Those that put a volume of these sides back into its place; time is neither turned into space nor around."""
    if which == "none":
        return [SYMMETRIES[0]]
    if which == "mirror" or (which == "auto" and not is_time):
        order, signs = SYMMETRIES[0]
        return [(order, signs), (order, (1, -1, 1) if is_time else (-1, 1, 1))]
    fitting = [one for one in SYMMETRIES if [sides[axis] for axis in one[0]] == list(sides)]
    return [(order, signs) for order, signs in fitting if not is_time or (order[0] == 0 and signs[0] == 1)]


def draw(
    config: AugmentConfig, seed: int, epoch: int, ids: Sequence[int], sides: Sequence[int], *, is_time: bool
) -> Change:
    """The changes of these samples in this epoch."""
    choices = symmetries(sides, config.symmetries, is_time=is_time)
    drawn = [
        _draw(config, address(seed, "augment", epoch, number), choices, is_time=is_time) for number in ids
    ]
    matrices, gains, seeds = zip(*drawn, strict=True)
    return Change(
        torch.from_numpy(np.stack(matrices)).float(),
        torch.tensor(gains, dtype=torch.float32),
        torch.tensor(seeds, dtype=torch.int64),
    )


def _draw(
    config: AugmentConfig, seed: int, choices: Sequence[Symmetry], *, is_time: bool
) -> tuple[np.ndarray, float, int]:
    random = np.random.default_rng(seed)
    turn = signed(*choices[int(random.integers(len(choices)))])
    axis = np.array([1.0, 0.0, 0.0]) if is_time else random.standard_normal(3)
    tilt = rotation(axis, math.radians(config.rotation_deg) * random.uniform(-1, 1))
    zoom = np.full(3, 1 + config.zoom * random.uniform(-1, 1))
    reach = np.array([config.time_shift if is_time else config.shift, config.shift, config.shift])
    move = 2 * reach * random.uniform(-1, 1, 3)
    if is_time:
        zoom[0] = 1.0
    matrix = np.concatenate([turn @ tilt @ np.diag(zoom), move[:, None]], axis=1)
    # affine_grid counts its coordinates from the last axis to the first.
    return matrix[::-1][:, [2, 1, 0, 3]].copy(), 1 + config.gain * random.uniform(-1, 1), seed >> 1


def signed(order: Sequence[int], signs: Sequence[int]) -> np.ndarray:
    """The permutation matrix with signs."""
    axes = np.zeros((3, 3))
    axes[range(3), list(order)] = signs
    return axes


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: np.ndarray = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return rotation


def apply(change: Change, volume: Tensor, kind: Kind) -> Tensor:
    """The changed volumes (float). One call for the whole batch; only noise is drawn sample by sample."""
    moved, is_photons = volume.float(), kind == "photons"
    if is_photons:
        moved = brightened(moved, change.gain, change.noise)
    elif kind == "grey":
        moved = moved * change.gain[:, None, None, None, None]
    if kind == "grey":
        grid = functional.affine_grid(change.matrix, list(moved.shape), align_corners=False)
        return functional.grid_sample(moved, grid, padding_mode="zeros", align_corners=False)
    # The nearest voxel keeps counts whole and their noise Poisson, where interpolation would average it away, and a
    # mask a mask.
    return torch.from_numpy(nearest(change.matrix.numpy(), moved.numpy()))


def nearest(matrix: Array, volume: Array) -> Array:
    """The result of `grid_sample` in its mode of that name, in half the time: all channels share one place to look up.
    NumPy, whose one thread leaves the others to the network while batches are gathered ahead; volume by volume, because
    one of them fits into the cache."""
    channels, sides = volume.shape[1], volume.shape[2:]
    # A frame of zeros one voxel wide takes what is looked up outside.
    framed = np.zeros((channels, *(n + 2 for n in sides)), volume.dtype)
    flat, found = framed.reshape(channels, -1), np.empty_like(volume)
    for number, one in enumerate(volume):
        framed[:, 1:-1, 1:-1, 1:-1] = one
        places = looked_up(matrix[number], sides).astype(np.intp)
        for channel, values in enumerate(flat):
            values.take(places, out=found[number, channel], mode="clip")
    return found


def looked_up(matrix: Array, sides: Sequence[int]) -> Array:
    """(D, H, W): the place in the framed volume, laid out flat, where each voxel of the result is looked up."""
    index: Array = np.zeros((), np.int32)
    stride = 1
    for row, n in zip(matrix, sides[::-1], strict=True):  # x, y, z, as the matrix counts
        scaled = row * np.float32(n / 2)  # voxels, and not -1 to 1
        x, y, z = (scale * centres(m) for scale, m in zip(scaled, sides[::-1], strict=False))
        z += scaled[3] + np.float32((n - 1) / 2)
        place = (z[:, None] + y)[..., None] + x
        np.rint(place, out=place)
        np.maximum(place, -1, out=place)
        np.minimum(place, n, out=place)
        whole = place.astype(np.int32)
        whole += 1
        whole *= stride
        whole += index
        index, stride = whole, stride * (n + 2)
    return index


def centres(n: int) -> Array:
    """Centres of the voxels along a side that reaches from -1 to 1."""
    centres: Array = (np.arange(n, dtype=np.float32) * 2 + 1) / n - 1
    return centres


def equalised(change: Change, counts: Tensor, levels: tuple[float, float]) -> Change:
    """With gains that bring each stack to a mean count of its own drawing, log-uniform between the levels; a stack
    that is dimmer stays as it is."""
    low, high = levels
    random = torch.tensor([np.random.default_rng([seed, 1]).random() for seed in change.noise.tolist()])
    level = low * (high / low) ** random
    mean = counts.float().mean(dim=(1, 2, 3, 4)).clamp(min=1e-9)
    return replace(change, gain=(level / mean).clamp(max=1.0).float())


def brightened(counts: Tensor, gain: Tensor, seeds: Tensor) -> Tensor:
    """Counts of the same cell under `gain` times the light."""
    changed = []
    for one, factor, seed in zip(counts, gain.tolist(), seeds.tolist(), strict=True):
        random = torch.Generator(one.device).manual_seed(seed)
        if factor < 1:
            changed.append(torch.binomial(one, torch.full_like(one, factor), generator=random))
        else:
            changed.append(one + torch.poisson(one * (factor - 1), generator=random))
    return torch.stack(changed)


def views(volume: Tensor, which: Turns, *, is_time: bool, count: int) -> list[Tensor]:
    """The volume and up to `count` - 1 of its symmetries, the same for every sample: for test-time averaging."""
    choices = symmetries(volume.shape[2:], which, is_time=is_time)
    count = min(count, len(choices))
    # Spread over the list, so that a few views differ in order of axes and in signs.
    chosen = [choices[(place * len(choices)) // count] for place in range(count)]
    return [
        volume.permute(0, 1, *[2 + axis for axis in order]).flip(
            [2 + i for i, sign in enumerate(signs) if sign < 0]
        )
        for order, signs in chosen
    ]
