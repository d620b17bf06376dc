"""A command line with the smallest recipe in it, and its simulated data."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import curve
from homeostat.cli import main
from homeostat.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]
Homeostat = Callable[..., tuple[int, str, str]]


@pytest.fixture
def homeostat(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Homeostat:
    """Run one command; returns exit code, standard output and standard error."""
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)
    stores = str(tmp_path / "stores")

    def command(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        given = [str(word) for word in words]
        given += ["--stores", stores] if given[0] == "train" and "--help" not in given else []
        try:
            code = main(given)
        except SystemExit as leaving:  # tyro's way to say that a flag is wrong
            code = int(leaving.code or 0)
        output = capfd.readouterr()
        return code, output.out, output.err

    return command


@pytest.fixture
def cohort(homeostat: Homeostat, tmp_path: Path) -> Path:
    folder = tmp_path / "cohort"
    assert homeostat("data", "simulate", "curve", "--out", folder)[0] == 0
    return folder


@pytest.fixture
def trained(homeostat: Homeostat, cohort: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "a"
    code, _, output = homeostat("train", "curve", "--data", cohort, "--run", folder, "--epochs", 2)
    assert code == 0, output
    return folder


@pytest.fixture
def detachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose `-m homeostat` knows the smallest recipe."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {ROOT / "tests" / "curve.py"} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]))
