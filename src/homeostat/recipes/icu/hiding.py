"""Observations that are hidden from the encoder in an epoch: a function of (seed, epoch, stay) alone.

The latent path must reconstruct them. A stay that looks different in each epoch is also harder to learn by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from homeostat.recipes.icu.cohort import Batch
from homeostat.task.randomness import uniform

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
