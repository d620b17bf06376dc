"""Gradients become parameters as torch does it, group by group."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from curve import model, pairs, squared_error
from homeostat.engine import optim
from homeostat.engine.optim import OptimConfig
from homeostat.errors import ConfigError
from homeostat.task.task import Group


def test_clips_as_torch_does_and_returns_the_norm_before() -> None:
    ours, theirs = model(dropout=0.0), model(dropout=0.0)
    for network in (ours, theirs):
        (100 * squared_error(network, pairs()).total).backward()
    expected = nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    norm = optim.clip([p.grad for p in ours.parameters() if p.grad is not None], 0.5)
    assert torch.equal(norm, expected)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert torch.equal(mine.grad, other.grad)


def test_the_longest_prefix_wins_and_rates_multiply() -> None:
    network = model()
    groups = (Group("0", rate=0.1), Group("0.bias", rate=0.5, decay=0.0))
    optimizer = optim.build(network, groups, OptimConfig(weight_decay=0.3))
    optim.set_rate(optimizer, 2.0)
    found = {
        group["rate"]: (group["lr"], group["weight_decay"], len(group["params"]))
        for group in optimizer.param_groups
    }
    assert found == {0.1: (0.2, 0.3, 1), 0.5: (1.0, 0.0, 1), 1.0: (2.0, 0.3, 2)}


def test_a_prefix_that_fits_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="No trainable parameter starts with 'encoder'"):
        optim.build(model(), (Group("encoder"),), OptimConfig())


def test_a_model_without_trainable_parameters_is_an_error() -> None:
    with pytest.raises(ConfigError, match="The model has no trainable parameter"):
        optim.build(model().requires_grad_(False), (), OptimConfig())


def test_the_average_follows_weights_and_copies_statistics() -> None:
    live = model(norm=True)
    average = copy.deepcopy(live)
    with torch.no_grad():
        for parameter in live.parameters():
            parameter.add_(1.0)
        live[1].running_mean.add_(5.0)
    before = [parameter.clone() for parameter in average.parameters()]
    optim.follow(average, live, 0.9)
    for old, new in zip(before, average.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)
    assert torch.equal(average[1].running_mean, live[1].running_mean)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"learning_rate": 0.0}, r"learning_rate 0\.0 must be positive"),
        ({"weight_decay": -1.0}, r"weight_decay -1\.0 must not be negative"),
        ({"clip": -1.0}, r"clip -1\.0 must not be negative; 0 does not clip"),
        ({"average": 1.0}, r"average 1\.0 must be at least 0 and below 1"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        OptimConfig(**wrong)
