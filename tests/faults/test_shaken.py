"""Runs whose files are mutated at random, or whose disk fails at one operation: same bits, or a sentence.

The program that shakes is `tests/shaken.py`, which takes another seed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import shim

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or shutil.which("cc") is None,
        reason="The library that fails in the place of the disk needs Linux and a C compiler.",
    ),
]

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("curve", "battery", "cell", "icu")


def shaken(folder: Path, *words: object) -> str:
    """Return what the program prints when nothing is wrong."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    library = shim.built(folder)
    assert library is not None
    environment = {**shim.environment(library), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests" / "shaken.py"), *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_some_mutations_and_faults_are_told_or_change_no_bit(tmp_path: Path) -> None:
    printed = shaken(
        tmp_path, "mutations", "operations", "--recipe", "curve", "--count", 40, "--every", 139, "--first", 3
    )
    assert re.search(r"40 mutations, .*'told': \d+.*, wrong: 0", printed)
    assert all(
        re.search(rf"{kind} at [34] operations, every 139, wrong: 0", printed) for kind in ("kill", "full")
    )


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_500_mutations_of_a_recipe(recipe: str, tmp_path: Path) -> None:
    shaken(tmp_path, "mutations", "--recipe", recipe, "--count", 500, "--seed", 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kill", "full"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_fault_at_every_operation_changes_no_bit(recipe: str, kind: str, tmp_path: Path) -> None:
    every = 1 if recipe == "curve" else 23
    assert "wrong: 0" in shaken(tmp_path, "operations", "--recipe", recipe, "--kinds", kind, "--every", every)
