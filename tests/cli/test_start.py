"""A command says at once what takes time, and loads no more than it needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from homeostat.recipes import RECIPES, SUMMARIES, find
from patience import PATIENCE_S

Homeostat = Callable[..., tuple[int, str, str]]
WITHOUT_TORCH = """
import sys
from homeostat.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
sys.exit(17 if "torch" in sys.modules else 0)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--help"],
        ["verify-resume", "--help"],
        ["data", "explain", "--help"],
        ["runs"],
        ["runs", "--json"],
        ["status", "--help"],
        ["logs", "--help"],
        ["stop", "--help"],
        ["evaluate", "--help"],
        ["compare", "--help"],
        ["report", "--help"],
        ["predict", "--help"],
        ["export", "--help"],
    ],
    ids=" ".join,
)
def test_what_needs_no_torch_loads_none(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words],
        capture_output=True, text=True, timeout=PATIENCE_S, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_list_of_recipes_says_what_each_says_of_itself() -> None:
    assert {name: find(name).summary for name in RECIPES} == SUMMARIES


def test_the_first_line_says_what_is_loaded(tmp_path: Path) -> None:
    """It comes before torch does, so nobody sees seconds of nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "homeostat", "resume", "nowhere"],
        capture_output=True, text=True, timeout=PATIENCE_S, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "Loading torch and the rest of the libraries ..."


@pytest.mark.parametrize("words", [("train", "icu"), ("data", "explain", "icu")], ids=" ".join)
def test_help_lists_the_presets(homeostat: Homeostat, words: tuple[str, ...]) -> None:
    out = " ".join(homeostat(*words, "--help")[1].replace("│", " ").split())
    assert f"Presets (--preset NAME): {', '.join(find('icu').presets)}; without one" in out
