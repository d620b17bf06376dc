"""Runs whose files are mutated at random, or whose disk fails at one operation: same bits, or a sentence.

The program that shakes is `tests/shaken.py`, which takes another seed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or shutil.which("cc") is None,
        reason="The library that fails in the place of the disk needs Linux and a C compiler.",
    ),
]

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("curve", "battery", "cell", "icu")


def shaken(*words: object) -> str:
    """Return what the program prints when nothing is wrong."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests" / "shaken.py"), *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_mutated_runs_are_told_or_harmless() -> None:
    printed = shaken("mutations", "--recipe", "curve", "--count", 40, "--seed", 0)
    assert "'told'" in printed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kill", "full"])
def test_a_fault_at_some_operations_changes_no_bit(kind: str) -> None:
    assert "wrong: 0" in shaken(
        "operations", "--recipe", "curve", "--kinds", kind, "--every", 79, "--first", 3
    )


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_500_mutations_of_a_recipe(recipe: str) -> None:
    shaken("mutations", "--recipe", recipe, "--count", 500, "--seed", 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kill", "full"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_fault_at_every_operation_changes_no_bit(recipe: str, kind: str) -> None:
    every = 1 if recipe == "curve" else 23
    assert "wrong: 0" in shaken("operations", "--recipe", recipe, "--kinds", kind, "--every", every)
