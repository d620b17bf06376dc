"""The public names of the package: pinned, documented, lazy, and the same for Python and for type checkers."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import homeostat

ROOT = Path(__file__).resolve().parents[2]


def test_the_names_are_these() -> None:
    assert sorted(homeostat.__all__) == [
        "Alarm", "Batches", "Blueprint", "Event", "Finding", "Group", "Guard", "Loss", "Predictions", "Recipe",
        "Run", "Settings", "Store", "Task", "doctor", "evaluate_run", "every", "fit", "law", "open_run", "plot",
        "predict", "run_at", "splits", "tables", "train", "write_predictions",
    ]  # fmt: skip


@pytest.mark.parametrize("name", homeostat.__all__)
def test_a_name_is_what_type_checkers_think_it_is(name: str) -> None:
    value = getattr(homeostat, name)
    module, inner = seen_by_type_checkers()[name]
    home = importlib.import_module(module)
    expected = getattr(home, inner) if inner in vars(home) else importlib.import_module(f"{module}.{inner}")
    assert value is expected
    assert inspect.getdoc(value)


def seen_by_type_checkers() -> dict[str, tuple[str, str]]:
    """Name -> (module, name in it), from the block that only type checkers read."""
    tree = ast.parse(Path(str(homeostat.__file__)).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name: (str(node.module), alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_see_these_names_and_no_others() -> None:
    assert sorted(seen_by_type_checkers()) == sorted(homeostat.__all__)
    assert set(homeostat.__all__) <= set(dir(homeostat))


def test_every_name_is_explained() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").split("## All names")[1]
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == sorted(homeostat.__all__)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'homeostat' has no attribute 'fitt'"):
        homeostat.fitt  # noqa: B018  # asking is the test


def test_importing_loads_nothing_but_python() -> None:
    """benchmarks/importing.py measures how long it takes."""
    code = "import sys; before = set(sys.modules); import homeostat; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = {name.partition(".")[0] for name in done.stdout.split()} - set(sys.stdlib_module_names)
    assert foreign == {"homeostat"}
    assert "homeostat.run" not in done.stdout.split()
