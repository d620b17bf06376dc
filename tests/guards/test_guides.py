"""Every fault that the five guides are known to have is planted, or prevented by a test that is named."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from homeostat.audits import AUDITS
from homeostat.guards import GUARDS
from planted.courses import COURSES
from planted.guides import GUIDES, Named
from planted.laws import LAWS
from planted.recipes import RECIPE_COURSES, RECIPE_LAWS

TESTS = Path(__file__).resolve().parent.parent
SYSTEMS = {system.name: system for system in (*LAWS, *COURSES, *RECIPE_LAWS, *RECIPE_COURSES)}
EXAMPLES = {f"example of {guard.name}" for guard in GUARDS}
# How many the study of the guides counts at least: of what went wrong, and of what they report themselves.
COUNTS = {"icu": (11, 10), "ecg": (11, 9), "battery": (10, 8), "chest": (12, 12), "cell": (5, 7)}


@pytest.mark.parametrize("guide", COUNTS)
def test_no_number_of_a_guide_is_left_out(guide: str) -> None:
    for kind, least in zip(("fault", "rule"), COUNTS[guide], strict=True):
        numbers = [
            int(re.sub(r"\D", "", one.number))
            for one in GUIDES
            if one.guide == guide and one.number.startswith(kind)
        ]
        assert numbers[0] == 1
        assert len(numbers) >= least
        assert all(after == before + 1 for before, after in pairwise(numbers)), numbers


@pytest.mark.parametrize("fault", GUIDES, ids=lambda fault: f"{fault.guide} {fault.number}")
def test_what_finds_it_exists(fault: Named) -> None:
    assert sum(map(bool, (fault.planted, fault.prevented, fault.apart))) == 1
    missing = [name for name in fault.planted if name not in SYSTEMS and name not in EXAMPLES]
    assert not missing
    assert not fault.prevented or (TESTS / fault.prevented).exists()


def test_few_faults_are_left_to_themselves() -> None:
    apart = [fault for fault in GUIDES if fault.apart]
    assert len(apart) <= 13
    assert len(GUIDES) >= 95


def test_every_planted_system_names_guards_or_audits_that_exist() -> None:
    known = {audit.name for audit in AUDITS} | {guard.name for guard in GUARDS}
    unknown = {
        name: cause for name, system in SYSTEMS.items() for cause in system.causes if cause not in known
    }
    assert not unknown


def test_every_guard_and_every_audit_has_a_planted_system() -> None:
    """A new one is picked up here and by the fault bench, which train and examine all of them."""
    planted = {cause for system in SYSTEMS.values() for cause in system.causes}
    machine = {"pace", "stalled", "memory", "disk", "deadline"}  # replayed: no clock or disk is waited for
    bare = {audit.name for audit in AUDITS} | {guard.name for guard in GUARDS} - machine
    assert not bare - planted, f"Plant a fault for {sorted(bare - planted)} in tests/planted."


def test_names_of_systems_are_unique() -> None:
    assert len(SYSTEMS) == len(LAWS) + len(COURSES) + len(RECIPE_LAWS) + len(RECIPE_COURSES)
