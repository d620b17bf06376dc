"""Random numbers are addressed by their use, never consumed in order.

Hence a checkpoint needs no generator state, and a resume in the middle of an epoch is exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray


def address(seed: int, *parts: int | str) -> int:
    """Hash a seed and an address, such as (seed, "augment", epoch, sample), to 63 bits.

    A hash and not a sum: seed 1 at step 2 must not equal seed 2 at step 1.
    """
    # 63 bits: torch takes a signed 64-bit seed. BLAKE2 and not hash(): the same in every process and version.
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh generator that belongs to this address alone."""
    return torch.Generator(device).manual_seed(address(seed, *parts))


def reseed(device: torch.device, seed: int, *parts: int | str) -> None:
    """Point torch's default generators (dropout, noise inside a model) at this address."""
    number = address(seed, *parts)
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(number)


@contextmanager
def borrowed(device: torch.device) -> Iterator[None]:
    """Leave torch's default generators as they were found: the caller's random numbers are not ours to move."""
    # Without a list of devices, fork_rng would copy the state of every GPU of the machine.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def seeded(seed: int, *parts: int | str, device: torch.device | str = "cpu") -> Iterator[None]:
    """Run a block, such as the building of a model, with random numbers of this address."""
    where = torch.device(device)
    with borrowed(where):
        reseed(where, seed, *parts)
        yield


def uniform(key: NDArray[np.uint64], *address: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), one per key, that depend on key and address alone: splitmix64 (Steele et al., OOPSLA 2014).

    A million of them cost some milliseconds, where a generator of its own for each would cost seconds.
    """
    mixed = key
    for part in address:
        mixed = _scramble(mixed + np.uint64((part * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % (1 << 64)))
    return (_scramble(mixed) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _scramble(mixed: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
