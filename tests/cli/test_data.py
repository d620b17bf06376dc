"""Data is prepared once, explained, checked and simulated."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

Homeostat = Callable[..., tuple[int, str, str]]


def test_prepare_then_explain_then_verify(homeostat: Homeostat, cohort: Path, tmp_path: Path) -> None:
    where = ("curve", "--data", cohort, "--stores", tmp_path / "stores")
    code, out, _ = homeostat("data", "prepare", *where)
    assert code == 0
    assert "Next: homeostat train curve" in out
    code, out, _ = homeostat("data", "explain", *where)
    assert "Reused" in out
    code, out, _ = homeostat("data", "verify", *where)
    assert code == 0
    assert "is whole: every checksum holds" in out


def test_simulating_into_a_full_folder_is_refused(homeostat: Homeostat, cohort: Path) -> None:
    code, _, err = homeostat("data", "simulate", "curve", "--out", cohort)
    assert code == 3
    assert "is not empty" in err


def test_what_is_named_next_works(homeostat: Homeostat, tmp_path: Path) -> None:
    """The simulated batteries name the unit of their time column, which the default configuration does not expect."""
    code, out, _ = homeostat("data", "simulate", "battery", "--out", tmp_path / "cells and more")
    assert code == 0
    words = shlex.split(out.split("Next: homeostat ")[1])
    assert words[:2] == ["train", "battery"]
    code, out, err = homeostat("data", "prepare", *words[1:], "--stores", tmp_path / "stores")
    assert code == 0, err
    assert shlex.split(out.split("Next: homeostat ")[1]) == words
