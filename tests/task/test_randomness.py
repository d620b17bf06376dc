"""Random numbers belong to an address, not to an order."""

from __future__ import annotations

import numpy as np
import torch

from homeostat.task.randomness import address, generator, seeded, uniform


def test_the_same_address_gives_the_same_numbers_whatever_came_before() -> None:
    first = torch.rand(3, generator=generator(1, "augment", 2, 3))
    torch.rand(100)
    generator(1, "augment", 2, 4)
    assert torch.equal(first, torch.rand(3, generator=generator(1, "augment", 2, 3)))


def test_addresses_do_not_collide_where_sums_would() -> None:
    numbers = {address(seed, "step", step) for seed in range(50) for step in range(50)}
    assert len(numbers) == 2500
    assert address(1, 23) != address(12, 3)


def test_seeded_gives_the_default_generator_back() -> None:
    before = torch.get_rng_state()
    with seeded(5, "model"):
        first = torch.rand(2)
    assert torch.equal(before, torch.get_rng_state())
    with seeded(5, "model"):
        assert torch.equal(first, torch.rand(2))


def test_numbers_are_uniform_and_independent() -> None:
    key = np.arange(50_000, dtype=np.uint64)
    draws = [uniform(key, 0, 0), uniform(key, 0, 1), uniform(key, 1, 0)]
    for draw in draws:
        assert abs(draw.mean() - 0.5) < 0.01
        assert abs(draw.var() - 1 / 12) < 0.002
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(draws[0][1:], draws[0][:-1])[0, 1]) < 0.02
