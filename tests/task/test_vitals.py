"""Signs of the live model: where a NaN began, what a step moved, what strayed when no step was made."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, model, squared_error
from homeostat.engine.fit import fit
from homeostat.errors import Halted
from homeostat.guards import every
from homeostat.run import Run
from homeostat.task import vitals
from homeostat.task.task import Group, Loss


class Root(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sqrt()


def test_names_the_first_part_that_is_not_finite() -> None:
    network = nn.Sequential(nn.Linear(4, 4), Root(), nn.Linear(4, 1))
    x = torch.randn(8, 4)
    assert vitals.first_bad(network, lambda: network(x)) == "1 (Root)"
    assert vitals.first_bad(network[:1], lambda: network[:1](x)) == ""
    assert not network[0]._forward_hooks


def test_a_halt_names_the_part_and_the_rows(run: Run) -> None:
    network = nn.Sequential(nn.Linear(4, 4), Root(), nn.Linear(4, 1))
    with pytest.raises(Halted, match=r"the first part that is not finite is 1 \(Root\)"):
        fit(make_task(network), SETTINGS, run, every())


def test_measures_what_a_step_moved() -> None:
    network = nn.Linear(2, 1)
    named = vitals.trainable(network)
    before = vitals.copy_of(named)
    network(torch.ones(3, 2)).sum().backward()
    with torch.no_grad():
        network.weight += torch.tensor([[3.0, 4.0]])
    look = vitals.look(named, before)
    assert look.moved == pytest.approx({"weight": 5.0, "bias": 0.0}, abs=1e-5)
    assert look.gradients["bias"] == pytest.approx(3.0)


def test_sees_buffers_and_weights_that_stray() -> None:
    network = nn.BatchNorm1d(3)
    before = vitals.state_of(network)
    assert vitals.strayed(network, before) == ()
    network(torch.randn(8, 3))
    assert set(vitals.strayed(network, before)) == {"running_mean", "running_var", "num_batches_tracked"}


def test_a_part_that_rests_on_purpose_is_no_fault(run: Run) -> None:
    network = model(dropout=0.0)
    network.spare = nn.Linear(3, 3)

    def loss(net: nn.Module, batch: Pairs) -> Loss:
        assert isinstance(net, nn.Sequential)
        return squared_error(nn.Sequential(*list(net)[:5]), batch)

    def score(net: nn.Module) -> dict[str, float]:
        return {"valid/mse": 1.0}

    rests = replace(make_task(network, loss, score), groups=(Group("spare", rate=0),))
    fit(rests, replace(SETTINGS, audits=True), run, every())
    assert not [event for event in run.events("alarm") if event["guard"] == "unchanged"]
    assert not list(run.events("finding"))
