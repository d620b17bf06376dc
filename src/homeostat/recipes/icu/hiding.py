"""Observations that are hidden from the encoder in an epoch: a function of (seed, epoch, stay) alone.

The latent path must reconstruct them. A stay that looks different in each epoch is also harder to learn by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from homeostat.data.ragged import Array
from homeostat.recipes.icu.cohort import Batch

# Share of the stays in which observations are hidden at random. The others look as they do when they are predicted.
SHARE_OF_STAYS = 0.7
LONGEST_WINDOW = 0.25


def hider(seed: int, share: float, window: float) -> Callable[[Batch, int], Batch]:
    """Hide on average `share` of a stay's observations, and with probability `window` all within some hours."""

    def hide(batch: Batch, epoch: int) -> Batch:
        stay = batch.ids.numpy().astype(np.uint64)
        part = 2 * share * uniform(stay, seed, epoch, 0) * (uniform(stay, seed, epoch, 1) < SHARE_OF_STAYS)
        begin = uniform(stay, seed, epoch, 2)
        length = LONGEST_WINDOW * uniform(stay, seed, epoch, 3) * (uniform(stay, seed, epoch, 4) < window)
        owner, time = batch.owner.numpy(), batch.time.numpy()
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        draw = uniform((stay[owner] << np.uint64(32)) | place.astype(np.uint64), seed, epoch, 5)
        inside = (time >= begin[owner]) & (time < (begin + length)[owner])
        return replace(batch, seen=torch.from_numpy((draw >= part[owner]) & ~inside))

    return hide


def uniform(key: Array, *address: int) -> Array:
    """Numbers in [0, 1) that depend on the key and the address alone: splitmix64 (Steele et al., OOPSLA 2014)."""
    mixed = key
    for part in address:
        mixed = scramble(mixed + np.uint64((part * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % (1 << 64)))
    return (scramble(mixed) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def scramble(mixed: Array) -> Array:
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scrambled: Array = mixed ^ (mixed >> np.uint64(31))
    return scrambled
