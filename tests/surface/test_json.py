"""Programs depend on the keys of --json: those of docs/runs.md, and standard output holds nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import curve
from homeostat import cli
from homeostat.recipes import RECIPES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "runs.md"


def promised(command: str) -> set[str]:
    """The words in code font of the row of a command, without the values in brackets after them."""
    (row,) = re.findall(rf"^\| `{command}` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return set(re.findall(r"`(\w+)`", row))


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", "simulate", "curve", "--out", "raw"]) == 0
    assert cli.main(["train", "curve", "--data", "raw", "--run", "runs/a", "--epochs", "2"]) == 0
    return Path("runs/a")


def test_the_keys_are_those_of_the_page(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def answer(*words: str) -> dict[str, Any]:
        capfd.readouterr()
        assert cli.main([*words, "--json"]) == 0
        value: dict[str, Any] = json.loads(capfd.readouterr().out)
        return value

    for action in ("explain", "prepare", "verify"):
        assert set(answer("data", action, "curve", "--data", "raw")) == promised(f"data {action}")
    status = answer("status", str(trained))
    assert set(status) == promised("status")
    (child,) = status["children"]
    rest = promised("status") - {"children", "next", "advice"}
    assert set(child) == set(answer("runs")["runs"][0]) == rest
    assert answer("evaluate", str(trained))["headline"]["name"] == "rmse"
    examined = answer("doctor", str(trained))
    assert {"findings", "tried", "not_tried"} == set(examined)
    assert all(set(finding) == promised("doctor") - set(examined) for finding in examined["findings"])
    other = ["train", "curve", "--data", "raw", "--run", "runs/b", "--hidden-dim", "4", "--epochs", "2"]
    assert cli.main(other) == 0
    compared = answer("compare", "runs/a", "runs/b")
    assert set(compared) | set(compared["comparisons"][0]) == promised("compare")
