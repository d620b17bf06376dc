"""Laws that every audit of AUDITS obeys: it names its planted fault, and says nothing of the same system when sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from homeostat.audits import AUDITS
from homeostat.audits.base import SEVERITIES, Finding, law
from homeostat.audits.case import Absent, Case
from homeostat.audits.exam import examine, together
from homeostat.audits.given import Splitting, Trial
from homeostat.audits.selection import Selection
from homeostat.errors import ConfigError
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


def test_what_cannot_be_tried_has_its_reason() -> None:
    exam = examine(Case("c", (Selection("valid/auroc"),)), AUDITS)
    assert exam.tried == ("selection",)
    assert exam.not_tried["leakage"] == "no split is at hand"
    assert not exam.findings


def test_a_case_may_know_better_why_a_law_is_not_tried() -> None:
    exam = examine(Case("c", (Absent(Splitting, "everybody trains"),)), AUDITS)
    assert exam.not_tried["leakage"] == exam.not_tried["duplicates"] == "everybody trains"
    assert set(exam.not_tried) == {audit.name for audit in AUDITS}


def test_a_law_takes_what_a_case_holds() -> None:
    with pytest.raises(
        ConfigError, match="Audit positive takes number of type <class 'int'>, which no case holds"
    ):

        @law("Numbers are positive.")
        def positive(number: int) -> Finding | None:
            return None


def test_two_values_where_a_law_takes_one_are_named() -> None:
    case = Case("c", (Selection("valid/auroc"), Selection("valid/loss")))
    with pytest.raises(ConfigError, match="Case c has 2 values of kind Selection"):
        case.one(Selection)
    assert case.but(Selection("test/loss")).one(Selection).score == "test/loss"


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
    exam = examine(Case("c", (replace(sound.one(Trial), loss=broken),)), AUDITS)
    assert "could not be tried: ValueError: a single row" in exam.findings[0].what


def test_names_are_unique() -> None:
    names = [audit.name for audit in AUDITS]
    assert len(set(names)) == len(names)
