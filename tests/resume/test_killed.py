"""SIGKILL at random moments, also inside the write of a checkpoint: the final State has the same bits every time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def verify_resume(kills: int, seed: int, folder: Path) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "tests" / "curve.py"), "verify-resume", "curve"]
    command += ["--kills", str(kills), "--seed", str(seed), "--keep", str(folder)]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def check(kills: int, seed: int, folder: Path) -> None:
    code, printed = verify_resume(kills, seed, folder)
    assert code == 0, printed
    found = re.search(r"passed\. (\d+) SIGKILLs, (\d+) of them inside the write of a checkpoint", printed)
    assert found, printed
    assert int(found[1]) == kills
    assert int(found[2]) >= kills // 10


@pytest.mark.faults
def test_ten_kills(tmp_path: Path) -> None:
    check(10, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("seed", [1, 2])
def test_fifty_kills(tmp_path: Path, seed: int) -> None:
    check(50, seed, tmp_path)
