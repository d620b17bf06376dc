"""Precision is decided by region, and a plan that does not agree with fp32 is withdrawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, model, squared_error
from homeostat.engine import precision
from homeostat.engine.fit import fit
from homeostat.errors import ConfigError
from homeostat.run import Run
from homeostat.run.sealed import read_json
from homeostat.task.task import Loss

CPU = torch.device("cpu")


def test_auto_on_a_cpu_is_fp32_and_says_why() -> None:
    plan = precision.plan(model(), (), "auto", CPU)
    assert not plan.is_mixed
    linear = plan.table()[0]
    assert linear == {
        "region": "Linear",
        "dtype": "fp32",
        "reason": "autocast to bf16 exists on this CPU, but on a cpu it has not been shown to pay",
    }


def test_an_island_computes_in_fp32_inside_bf16() -> None:
    network = model(dropout=0.0)
    seen: dict[str, torch.dtype] = {}
    network[2].register_forward_hook(lambda part, given, output: seen.update(before=given[0].dtype))
    network[4].register_forward_hook(lambda part, given, output: seen.update(island=output.dtype))
    undo = precision.protect(network, ("4",), CPU)
    with precision.plan(network, ("4",), "bf16", CPU).forward():
        network(torch.randn(3, 4))
    assert seen == {"before": torch.bfloat16, "island": torch.float32}
    undo()
    assert "forward" not in vars(network[4])


def test_an_island_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigError, match="The model has no part 'solver' to keep in fp32"):
        precision.plan(model(), ("solver",), "auto", CPU)


def test_the_plan_and_its_reasons_are_written_down(run: Run) -> None:
    fit(make_task(), replace(SETTINGS, precision="bf16", epochs=1), run)
    rows = read_json(run.environment_file)["precision"]
    assert [(row["region"], row["dtype"]) for row in rows] == [
        ("Linear", "bf16"),
        ("everything else", "fp32"),
    ]
    assert "probe: losses differ from fp32 by" in rows[0]["reason"]


def test_a_plan_that_disagrees_with_fp32_is_withdrawn(run: Run) -> None:
    def fragile(network: nn.Module, batch: Pairs) -> Loss:
        """A difference of nearly equal numbers: what bf16 cannot carry."""
        big = network(batch.x) + 1000.0
        return Loss(squared_error(network, batch).total + (big - 1000.0 - network(batch.x)).square().mean())

    fit(make_task(model(dropout=0.0), fragile), replace(SETTINGS, precision="bf16", epochs=1), run)
    rows = read_json(run.environment_file)["precision"]
    assert {row["dtype"] for row in rows} == {"fp32"}


def test_full_switches_autocast_off() -> None:
    with torch.autocast("cpu", torch.bfloat16), precision.full(CPU):
        assert nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32
