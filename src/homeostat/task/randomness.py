"""Random numbers are addressed by their use, never consumed in order.

Hence a checkpoint needs no generator state, and a resume in the middle of an epoch is exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
