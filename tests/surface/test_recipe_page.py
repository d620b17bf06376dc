"""docs/recipe.md is a recipe outside of this repository: trained, killed, resumed, evaluated, reported by commands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from homeostat.cli import main
from homeostat.engine import checkpoint
from homeostat.engine.state import differences
from homeostat.run import Run
from homeostat.run.sealed import read_json
from patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "recipe.md"
WORD = "./my_ecg.py:recipe"
MOST_LINES = 200


def source() -> str:
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return "\n\n".join(blocks)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start one command in a process of its own, which knows nothing but the file."""
    return subprocess.Popen(
        [sys.executable, "-m", "homeostat", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run one command in this process, and return what it prints."""
    capsys.readouterr()
    code = main(words)
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def wait_for_two_checkpoints(run: Run, process: subprocess.Popen[str]) -> None:
    """Return also if the process has ended."""
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and len(list(run.checkpoints.glob("*.ckpt"))) < 2:
        assert time.monotonic() < until, "no checkpoint was written"
        time.sleep(0.01)


def commands() -> list[list[str]]:
    """The commands of the page, in order."""
    use = PAGE.read_text(encoding="utf-8").split("## Use it")[1]
    return [line.split()[1:] for line in use.splitlines() if line.startswith("homeostat ")]


def test_the_recipe_is_short() -> None:
    assert len(source().splitlines()) <= MOST_LINES


@pytest.mark.faults
def test_it_is_trained_killed_resumed_evaluated_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_ecg.py").write_text(source(), encoding="utf-8")
    simulate, train, resume, evaluate, predict, report, *_ = commands()
    done(capsys, *simulate)
    run = Run(tmp_path / "runs" / "ecg")
    child = run.child("split.convolution.0")
    with start(tmp_path, *train, "--save-every", "1") as killed:
        wait_for_two_checkpoints(child, killed)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    assert run.status()["state"] == "died", "it was over before it could be killed"
    done(capsys, "resume", "runs/ecg")
    assert len(list(child.events("resume"))) == 1

    whole = [word if word != "runs/ecg" else "runs/whole" for word in train]
    done(capsys, *whole, "--save-every", "1")
    other = Run(tmp_path / "runs" / "whole").child(child.name)
    ends = [checkpoint.read(checkpoint.ring(each.checkpoints)[-1])["state"] for each in (child, other)]
    assert differences(*ends) == []

    done(capsys, *resume)
    assert "auroc ectopic  convolution  test" in done(capsys, *evaluate)
    done(capsys, *predict)
    done(capsys, *report)
    scores = {s["model"]: s["value"] for s in read_json(run.metrics_file)["scores"] if s["name"] == "auroc"}
    assert scores["convolution"] > scores["logistic"]
    assert len(pl.read_csv(tmp_path / "new.csv")) == 600
    assert "Ectopic" in run.report_file.read_text() or "ectopic" in run.report_file.read_text()
    assert list(run.config()["code"]) == [str(tmp_path / "my_ecg.py")]


@pytest.mark.slow
@pytest.mark.faults
def test_the_doctor_finds_nothing_and_every_bit_survives_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_ecg.py").write_text(source(), encoding="utf-8")
    *_, doctor, verify = commands()
    assert "nothing found" in done(capsys, *doctor)
    # In a process of its own: it forks, and the doctor's threads would not come with a fork.
    with start(tmp_path, *verify, "--kills", "2") as process:
        printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "passed. 2 SIGKILLs" in printed
