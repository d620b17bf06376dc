"""A run in the background has begun when its command returns, or its error is the error of that command."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import curve
from homeostat.run import Run
from patience import wait_for

Homeostat = Callable[..., tuple[int, str, str]]
pytestmark = [
    pytest.mark.faults,
    pytest.mark.usefixtures("detachable"),
    pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell to stand in for Python"),
]
SLOW = ("--step-s", 0.01, "--epochs", 5000, "--detach")


def test_a_detached_run_is_followed_and_stopped_from_files(
    homeostat: Homeostat, cohort: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "a"
    words = (
        "train",
        "curve",
        "--data",
        cohort,
        "--run",
        folder,
        "--step-s",
        0.01,
        "--epochs",
        5000,
        "--detach",
    )
    code, out, _ = homeostat(*words)
    assert code == 0
    assert "goes on in the background" in out
    run = Run(folder)
    wait_for(lambda: list(curve.inner(folder).events("score")))
    assert run.status()["state"] == "running"
    assert os.getsid(run.status()["pid"]) != os.getsid(0)
    assert "running" in homeostat("runs", "--root", folder.parent)[1]
    code, out, err = homeostat("resume", folder)
    assert code == 2
    assert "is running. Follow it with" in err
    code, out, _ = homeostat("stop", folder)
    assert code == 0
    assert "interrupted at step" in out
    assert homeostat("stop", folder)[0] == 2
    assert "epoch 1  step 5" in run.console_file.read_text()


def test_a_detached_run_trains_when_its_command_returns(
    homeostat: Homeostat, cohort: Path, tmp_path: Path
) -> None:
    """The commands after it are true at once: nobody waits between them."""
    folder = tmp_path / "a"
    code, out, err = homeostat("train", "curve", "--data", cohort, "--run", folder, *SLOW)
    assert code == 0, err
    assert Run(folder).is_alive()
    assert "running" in homeostat("status", folder)[1]
    assert "plan" in homeostat("logs", folder)[1]
    code, out, err = homeostat("stop", folder)
    assert code == 0, err
    assert "interrupted" in out
    code, _, err = homeostat("resume", folder, "--detach")
    assert code == 0, err
    assert homeostat("stop", folder)[0] == 0
    assert not Run(folder).is_alive()


def test_a_detached_run_that_fails_fails_its_command(
    homeostat: Homeostat, cohort: Path, tmp_path: Path
) -> None:
    table, folder = cohort / "curve.csv", tmp_path / "a"
    table.write_text(table.read_text().replace(",train", ",trian"))
    alone = homeostat("train", "curve", "--data", cohort, "--run", tmp_path / "b")
    code, out, err = homeostat("train", "curve", "--data", cohort, "--run", folder, *SLOW)
    assert (code, code > 0) == (alone[0], True), err
    (sentence,) = [line for line in alone[2].splitlines() if line.startswith("error: ")]
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [sentence]
    assert "goes on" not in out


def test_a_detached_run_that_is_done_says_so(homeostat: Homeostat, trained: Path) -> None:
    code, out, err = homeostat("resume", trained, "--detach")
    assert code == 0, err
    wait_for(lambda: not Run(trained).is_alive())
    assert Run(trained).status()["state"] == "done"
