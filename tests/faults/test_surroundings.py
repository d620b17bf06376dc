"""Surroundings that are not as a process expects them: each ends in a sentence, or the training goes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from homeostat.run import Run
from patience import PATIENCE_S

pytestmark = [pytest.mark.faults, pytest.mark.skipif(os.name != "posix", reason="limits and pipes of POSIX")]

ROOT = Path(__file__).resolve().parents[2]


def shell(before: str, words: str, tmp_path: Path, after: str = "") -> tuple[int, str]:
    """Run one command in a shell that first changes its own surroundings."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    command = f"{before}\nexec {sys.executable} -m homeostat {words} {after}"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


TRAIN = f"train {ROOT / 'tests' / 'curve.py'}:recipe --data raw --run run --stores stores --epochs 2"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "| head -1"),
        ("", "2>&-"),
        ("", "<&- >&- 2>&-"),
        ("unset HOME", ""),
        ("export HOME=/nonexistent XDG_CACHE_HOME=/proc/none TMPDIR=/nonexistent", ""),
        ("export LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii", ""),
    ],
    ids=["reader gone", "no stderr", "no streams", "no home", "nothing writable", "ascii"],
)
def test_the_training_goes_on(tmp_path: Path, raw: Path, before: str, after: str) -> None:
    code, printed = shell(before, TRAIN, tmp_path, after)
    assert code == 0, printed
    assert Run(tmp_path / "run").status()["state"] == "done"


@pytest.mark.parametrize(
    ("before", "code", "sentence"),
    [
        ("ulimit -n 11", 6, r"Too many files are open. Raise the limit \(ulimit -n 1024\)"),
        ("ulimit -v 500000", 6, "Raise the limit"),
        ("mkdir gone; cd gone; rmdir ../gone", 2, "The folder that you are in was deleted"),
        ("mv raw elsewhere", 2, "--data raw does not exist"),
        ("ulimit -f 8", 6, "Free some space"),
    ],
    ids=["files", "memory", "folder", "data", "disk"],
)
def test_it_ends_in_a_sentence(tmp_path: Path, raw: Path, before: str, code: int, sentence: str) -> None:
    ended, printed = shell(before, TRAIN, tmp_path)
    assert ended == code, printed
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert re.search(sentence, errors[0])


def test_a_run_that_was_moved_is_the_same_run(tmp_path: Path, raw: Path) -> None:
    code, printed = shell("", TRAIN, tmp_path)
    assert code == 0, printed
    code, printed = shell("mkdir else; mv run else/moved", "resume else/moved --epochs 3", tmp_path)
    assert code == 0, printed
    assert Run(tmp_path / "else" / "moved").status()["state"] == "done"
    assert "else/moved" in printed
