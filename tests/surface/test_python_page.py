"""docs/python.md is executed as a notebook is: its commands, then its cells, and every cell twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from homeostat import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


def cells(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def run(cell: str, names: dict[str, Any]) -> None:
    exec(compile(cell, PAGE.name, "exec"), names)  # noqa: S102  # the page is the program


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    (command,) = re.findall(r"^homeostat (data simulate .*)$", page, flags=re.MULTILINE)
    assert cli.main(command.split()) == 0
    names: dict[str, Any] = {}
    for cell in cells(page):
        run(cell, names)
        run(cell, names)
    return names


def test_the_page_does_what_it_says(notebook: dict[str, Any]) -> None:
    names = notebook
    assert names["run"].status()["state"] == names["own"].status()["state"] == "done"
    assert len([path for path in Path("runs").iterdir() if path.is_dir()]) == 2
    assert {"value", "low", "high", "n"} <= set(names["scores"].columns)
    assert "<svg" in names["picture"]._repr_html_()
    assert "done, step" in names["own"]._repr_html_()
    assert {"start", "score", "epoch"} <= set(names["journal"]["kind"])
    assert len(names["new"]) > 0
    # The model has learnt: it beats the best constant, which stands beside its error.
    (rmse,) = names["errors"].filter(name="rmse", split="test").to_dicts()
    assert rmse["high"] < rmse["trivial"]
    assert names["curve"]["epoch"].to_list() == list(range(1, 21))
    error = names["predicted"]["error"]
    assert float((error**2).mean() ** 0.5) == pytest.approx(rmse["value"])
    for words in ("evaluate", "report", "export", "status", "doctor"):
        assert cli.main([words, "runs/mine"]) == 0, words
    assert cli.main(["resume", "runs/mine"]) == 2


def test_training_takes_ten_lines() -> None:
    first = cells(PAGE.read_text(encoding="utf-8"))[0]
    lines = [line for line in first.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert all(f"homeostat.{word}(" in first for word in ("train", "evaluate_run", "plot", "tables"))
