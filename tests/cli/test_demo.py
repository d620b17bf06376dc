"""One command from nothing to a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import curve
from homeostat.cli.demo import Demo
from homeostat.recipes import RECIPES

Homeostat = Callable[..., tuple[int, str, str]]


def test_without_a_name_it_shows_intensive_care(
    homeostat: Homeostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "icu", lambda: curve.recipe)
    code, out, _ = homeostat("demo", "--root", tmp_path / "shown")
    assert code == 0
    (report,) = (tmp_path / "shown").glob("*/report.html")
    assert f"Open {report} in a browser." in out
    assert (report.parent / "metrics.json").exists()


def test_another_recipe_is_named(homeostat: Homeostat, tmp_path: Path) -> None:
    assert homeostat("demo", "curve", "--root", tmp_path / "shown")[0] == 0
    assert list((tmp_path / "shown").glob("demo-curve-*/report.html"))
    assert Demo().recipe in RECIPES
