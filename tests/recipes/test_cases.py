"""Every recipe passes its own audits, tried on its own network, batches, loss and splits; a planted fault is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from homeostat.audits import AUDITS
from homeostat.audits.case import Case
from homeostat.audits.exam import examine
from homeostat.audits.given import Splitting, Trial
from homeostat.recipes import find
from homeostat.run import create

CHANGES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "battery": ("battery", {}),
    "forecast": ("battery", {"task": "forecast"}),
    "icu": ("icu", {}),
    "cell": ("cell", {}),
    "balanced": ("cell", {"balance": True}),
}
# What every recipe lets a doctor try.
EVERYWHERE = {
    "leakage",
    "duplicates",
    "provenance",
    "selection",
    "repeatable",
    "batch_invariance",
    "frozen",
    "reach",
    "learnable",
    "start_loss",
    "zero_terms",
    "input_size",
    "mixed_units",
    "used_inputs",
    "augmentation",
    "best_alias",
}
BESIDE = {
    "battery": {"padding", "masking", "normaliser", "tolerance"},
    "icu": {"padding", "normaliser", "tolerance", "cases", "one_class"},
    "cell": {"cases", "one_class"},
}


@pytest.fixture(scope="module")
def all_cases(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Case]:
    cases = {}
    for name, (recipe_name, changes) in CHANGES.items():
        recipe, folder = find(recipe_name), tmp_path_factory.mktemp(name)
        (folder / "data").mkdir()
        recipe.simulate(folder / "data", 0)
        config = replace(recipe.preset("smoke"), **changes)
        store = recipe.prepare(config, folder / "data", folder / "stores")
        assert recipe.case is not None
        cases[name] = recipe.case(config, create(folder / "run", {"recipe": recipe_name}), store)
    return cases


@pytest.mark.parametrize("name", CHANGES)
def test_a_recipe_breaks_no_law(all_cases: Mapping[str, Case], name: str) -> None:
    exam = examine(all_cases[name], AUDITS)
    assert [f"{found.audit}: {found.what}" for found in exam.findings] == []
    wanted = EVERYWHERE | BESIDE[CHANGES[name][0]]
    assert not wanted - set(exam.tried), {law: exam.not_tried[law] for law in wanted - set(exam.tried)}
    assert set(exam.tried) | set(exam.not_tried) == {audit.name for audit in AUDITS}
    assert all(exam.not_tried.values()), "a law that is not tried has its reason"


def named(case: Case) -> set[str]:
    return {finding.audit for finding in examine(case, AUDITS).findings}


def test_a_reader_of_padding_is_found_in_battery(all_cases: Mapping[str, Case]) -> None:
    """The loss counts filler steps."""
    case = all_cases["battery"]
    trial = case.one(Trial)

    def counting(model: nn.Module, batch: Any) -> Any:
        loss = trial.loss(model, batch)
        return replace(loss, total=loss.total * batch.valid.numel() / batch.valid.sum())

    assert "padding" in named(case.but(replace(trial, loss=counting)))


def test_a_leaked_patient_is_found_in_icu(all_cases: Mapping[str, Case]) -> None:
    case = all_cases["icu"]
    splitting = case.one(Splitting)
    splits = splitting.splits
    moved = replace(splits, train=(*splits.train, splits.valid[0]))
    assert {"leakage", "normaliser"} <= named(case.but(replace(splitting, splits=moved)))


def test_a_start_far_from_the_prior_is_found_in_cell(all_cases: Mapping[str, Case]) -> None:
    case = all_cases["cell"]
    model: Any = case.one(Trial).model
    before: Tensor = model.last.bias.detach().clone()
    with torch.no_grad():
        model.last.bias.fill_(4.0)
    try:
        assert "start_loss" in named(case)
    finally:
        with torch.no_grad():
            model.last.bias.copy_(before)
