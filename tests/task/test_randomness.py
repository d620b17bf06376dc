"""Random numbers belong to an address, not to an order."""

from __future__ import annotations

import torch

from homeostat.task.randomness import address, generator, seeded


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
