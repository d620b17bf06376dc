"""The sentences about a run's folder are true, and their commands work from any folder."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homeostat.audits.folder import examine_run
from homeostat.audits.test_peek import LOOKS
from homeostat.evaluate import ledger
from homeostat.evaluate.predictions import Predictions
from homeostat.files import write_json
from homeostat.run import Run, create, sealed


def answers(model: str, shift: float = 0.0) -> Predictions:
    truth = np.linspace(0, 1, 12)
    return Predictions.build(
        "regression", "test", ids=range(12), targets=truth, outputs=truth + shift, model=model
    )


def findings(run: Run) -> dict[str, str]:
    return {finding.audit: finding.what for finding in examine_run(run).findings}


def test_yard_sticks_are_no_looks_at_the_test_split(tmp_path: Path) -> None:
    """Many yard-sticks and one model are one look; many states of one model are many."""
    run = create(tmp_path / "runs" / "a", {"config": {}})
    ledger.record(run.ledger_file, answers("own"), "evaluate")
    for k in range(3 * LOOKS):
        ledger.record(run.ledger_file, answers(f"rule{k}", k), ledger.YARD_STICK)
    assert "test_peek" not in findings(run)
    for k in range(LOOKS):
        ledger.record(run.ledger_file, replace(answers("own", 1 + k)), "evaluate")
    assert f"scored with {LOOKS + 1} different predictions" in findings(run)["test_peek"]


@pytest.mark.parametrize(
    ("steps", "where"), [({}, "interrupted: "), ({"step": 4, "total": 9}, "at step 4 of 9")]
)
def test_only_a_run_that_has_steps_ended_at_one(tmp_path: Path, steps: dict[str, int], where: str) -> None:
    run = create(tmp_path / "a", {"config": {}})
    write_json(run.status_file, {"state": "interrupted", "reason": "it was asked to stop", **steps})
    what = findings(run)["ending"]
    assert where in what
    assert ("step" in what) == bool(steps)


def test_commands_of_findings_hold_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept in the run and shown later, and a path may have a space in it."""
    monkeypatch.chdir(tmp_path)
    run = create(Path("my runs") / "a", {"config": {}})
    write_json(run.status_file, {"state": "interrupted", "reason": "it was asked to stop"})
    sealed.write_json(
        run.metrics_file, {"headline": {"name": "rmse", "value": 1.0, "trivial": 0.5, "better": "lower"}}
    )
    commands = [finding.command for finding in examine_run(run).findings if finding.command]
    assert len(commands) == 2
    monkeypatch.chdir("/")
    assert all(Path(shlex.split(command)[-1]) == tmp_path / "my runs" / "a" for command in commands)
