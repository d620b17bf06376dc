"""The machine's resources are plain numbers; a number that it does not give is left out."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import torch

from homeostat.engine.resources import measure

CPU = torch.device("cpu")


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel tells the size of a process in /proc on Linux only"
)
def test_memory_and_disk_are_real(tmp_path: Path) -> None:
    before = measure(CPU, tmp_path)
    kept = torch.ones(20_000_000)
    after = measure(CPU, tmp_path)
    assert after["memory_bytes"] - before["memory_bytes"] > 0.8 * kept.nbytes
    assert 0 < after["memory_free_bytes"] < 1e14
    assert 0 < after["disk_free_bytes"] < 1e18


def test_a_time_budget_is_told_while_there_is_one(tmp_path: Path) -> None:
    assert "seconds_left" not in measure(CPU, tmp_path)
    signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        assert 0 < measure(CPU, tmp_path)["seconds_left"] <= 100
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
