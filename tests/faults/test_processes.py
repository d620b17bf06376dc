"""Whole processes are signalled and killed from outside, as a cluster, a person or the kernel would do it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import curve
from homeostat.cli import main
from homeostat.engine import checkpoint
from homeostat.engine.state import differences
from homeostat.recipes import RECIPES
from homeostat.run import Run
from patience import PATIENCE_S, wait_for

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]


def start(*words: object, **slow: object) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    environment |= {name: str(seconds) for name, seconds in slow.items()}
    command = [sys.executable, str(ROOT / "tests" / "curve.py"), *(str(word) for word in words)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out + err


def test_sigterm_during_evaluation_then_sigkill_then_resume(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first evaluation would last an hour; the signal leaves it at once and nothing is lost."""
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    inner = curve.inner(run.folder)
    shared = ("--data", raw, "--stores", tmp_path / "stores", "--save-every", 1)
    evaluating = start("train", "curve", *shared, "--run", run.folder, **{curve.SLOW_SCORE: 3600})
    wait_for(lambda: any(event["step"] == 5 for event in inner.events("epoch")))
    time.sleep(0.2)
    evaluating.send_signal(signal.SIGTERM)
    code, printed = finish(evaluating)
    assert code == 5, printed
    assert "stopped at step 5 because it was asked to stop (SIGTERM)" in printed
    assert run.status()["state"] == "interrupted"

    killed = start("resume", run.folder, **{curve.SLOW_STEP: 0.05})
    wait_for(lambda: any(event["step"] >= 12 for event in inner.events("step")))
    killed.kill()
    finish(killed)
    assert run.status()["state"] == "died"

    code, printed = finish(start("resume", run.folder))
    assert code == 0, printed
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)
    assert main([str(word) for word in ("train", "curve", *shared, "--run", whole.folder)]) == 0
    ends = [
        checkpoint.read(checkpoint.ring(each.checkpoints)[-1])["state"]
        for each in (curve.inner(whole.folder), inner)
    ]
    assert not differences(*ends)
