"""Laws that every audit of AUDITS obeys: it names its planted fault, and says nothing of the same system when sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.audits import AUDITS
from homeostat.audits.base import SEVERITIES, Case
from homeostat.audits.exam import examine, together
from planted.fault import Law
from planted.laws import LAWS
from planted.recipes import RECIPE_LAWS

each = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)


def test_every_audit_has_a_planted_fault() -> None:
    planted = {cause for law in LAWS for cause in law.causes}
    bare = [audit.name for audit in AUDITS if audit.name not in planted]
    assert not bare, f"Plant a fault for them in tests/planted/laws.py: {bare}"


@each
@pytest.mark.parametrize("seed", [0, 1])
def test_names_the_planted_fault(law: Law, seed: int, tmp_path: Path) -> None:
    exam = examine(law.make(seed, True, tmp_path), AUDITS)
    named = [finding.audit for finding in exam.findings]
    assert set(named) & set(law.causes), f"{named} of {exam.tried}"
    for finding in exam.findings:
        assert "could not be tried" not in finding.what, finding.what
        assert finding.what.endswith((".", "!"))
        assert finding.cause
        assert finding.advice


@each
def test_is_silent_on_the_same_system_when_sound(law: Law, tmp_path: Path) -> None:
    for seed in range(3):
        exam = examine(law.make(seed, False, tmp_path / str(seed)), AUDITS)
        assert exam.tried
        assert not exam.findings, exam.findings[0].what


@pytest.mark.slow
@pytest.mark.parametrize("law", RECIPE_LAWS, ids=lambda law: law.name)
def test_names_what_is_planted_in_a_recipe(law: Law, tmp_path: Path) -> None:
    ill = examine(law.make(0, True, tmp_path), AUDITS)
    assert {finding.audit for finding in ill.findings} & set(law.causes)
    assert not examine(law.make(0, False, tmp_path), AUDITS).findings


def test_what_cannot_be_tried_is_told_apart() -> None:
    exam = examine(Case(select="valid/auroc"), AUDITS)
    assert exam.tried == ("selection",)
    assert "leakage" in exam.not_tried
    assert not exam.findings


def test_findings_come_gravest_first_and_once(tmp_path: Path) -> None:
    ill = {law.name: examine(law.make(0, True, tmp_path), AUDITS) for law in LAWS[:20]}
    both = together([*ill.values(), *ill.values()])
    order = [SEVERITIES.index(finding.severity) for finding in both.findings]
    assert order == sorted(order)
    assert len({finding.what for finding in both.findings}) == len(both.findings)
    assert not set(both.tried) & set(both.not_tried)


def test_a_model_that_raises_is_a_finding(tmp_path: Path) -> None:
    def broken(model: object, batch: object) -> None:
        raise ValueError("a single row is not enough")

    sound = LAWS[0].make(0, False, tmp_path)
    exam = examine(Case(model=sound.model, batch=sound.batch, count=8, loss=broken), AUDITS)  # type: ignore[arg-type]
    assert "could not be tried: ValueError: a single row" in exam.findings[0].what


def test_names_are_unique() -> None:
    names = [audit.name for audit in AUDITS]
    assert len(set(names)) == len(names)
