"""Runs are followed from plain files."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import curve
from homeostat.run import Run, create
from homeostat.run.life import HEARTBEAT_S
from homeostat.run.sealed import read_json

Homeostat = Callable[..., tuple[int, str, str]]


def test_runs_and_status(homeostat: Homeostat, trained: Path) -> None:
    code, out, _ = homeostat("runs", "--root", trained.parent)
    assert code == 0
    header, row = out.splitlines()
    assert header.split() == ["run", "state", "step", "left", "score", "heartbeat"]
    assert "done   split.curve.0: 10 of 10        not evaluated" in row
    code, out, _ = homeostat("status", trained)
    assert code == 0
    assert f"Next: homeostat evaluate {trained}" in out


def test_no_runs_is_said(homeostat: Homeostat, tmp_path: Path) -> None:
    assert "There are no runs in" in homeostat("runs", "--root", tmp_path)[1]


def test_status_shows_the_runs_inside(homeostat: Homeostat, trained: Path) -> None:
    with Run(trained).child("fold-0").active():
        pass
    assert "fold-0" in homeostat("status", trained)[1]


def test_logs_are_sentences(homeostat: Homeostat, trained: Path) -> None:
    code, out, _ = homeostat("logs", trained)
    assert code == 0
    last = out.splitlines()[-1]
    assert "score     split.curve.0  epoch 2 step 10  valid/mse" in last


def test_logs_follow_a_run_until_it_ends_and_wait_for_whole_lines(
    homeostat: Homeostat, tmp_path: Path
) -> None:
    run = create(tmp_path / "a", {})
    begun = threading.Event()

    def live() -> None:
        with run.active():
            run.journal("step", step=1, loss=0.5)
            run.flush()
            with run.journal_file.open("a") as journal:
                journal.write('{"kind": "step", ')
                journal.flush()
                begun.set()
                time.sleep(0.8)
                journal.write('"step": 2, "loss": 0.25}\n')
            time.sleep(0.8)

    thread = threading.Thread(target=live)
    thread.start()
    begun.wait()
    code, out, _ = homeostat("logs", run.folder, "-f")
    thread.join()
    assert code == 0
    assert [line.split("step ")[-1] for line in out.splitlines()] == ["1  loss 0.5", "2  loss 0.25"]


def test_logs_tell_of_the_runs_inside_in_the_order_of_time(homeostat: Homeostat, tmp_path: Path) -> None:
    run = create(tmp_path / "a", {})
    with run.active():
        run.journal("task")
        run.flush()
        time.sleep(0.01)
        with (inner := run.child("fold-0")).active():
            inner.journal("score", step=3, loss=0.5)
        time.sleep(0.01)
        run.journal("end")
    code, out, _ = homeostat("logs", run.folder)
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == ["task", "score", "end"]
    assert "score     fold-0  step 3  loss 0.5" in out
    code, out, _ = homeostat("logs", inner.folder)
    assert (code, "step 3" in out) == (0, True)
    assert "done" in homeostat("status", inner.folder)[1]


def test_the_score_of_a_run_is_its_own(homeostat: Homeostat, trained: Path) -> None:
    """Neither that of a run inside it nor that of a yard-stick: the headline, and before it is known, nothing."""
    facts = json.loads(homeostat("runs", "--root", trained.parent, "--json")[1])["runs"][0]
    assert (facts["score"], facts["step_of"]) == (None, "split.curve.0")
    assert homeostat("evaluate", trained)[0] == 0
    facts = json.loads(homeostat("status", trained, "--json")[1])
    headline = read_json(Run(trained).metrics_file)["headline"]
    assert facts["score"] == {
        f"{headline['split']}/{headline['name']} {headline['target']}": headline["value"]
    }
    (child,) = facts["children"]
    assert list(child["score"]) == ["valid/mse"]
    with Run(trained).active(), (inner := curve.inner(trained)).active():
        inner.progress(step=3, total=9, score={"valid/mse": 0.5})
        time.sleep(HEARTBEAT_S + 2)
        facts = json.loads(homeostat("status", trained, "--json")[1])
    assert (facts["score"], facts["score_of"]) == ({"valid/mse": 0.5}, "split.curve.0")


def test_a_resume_of_what_is_done_keeps_its_score(homeostat: Homeostat, trained: Path) -> None:
    assert homeostat("evaluate", trained)[0] == 0
    row = homeostat("runs", "--root", trained.parent)[1].splitlines()[-1].split("  ")[:5]
    child = curve.inner(trained).status()
    assert homeostat("resume", trained)[0] == 0
    assert homeostat("runs", "--root", trained.parent)[1].splitlines()[-1].split("  ")[:5] == row
    with curve.inner(trained).active():
        pass
    again = curve.inner(trained).status()
    assert all(again[name] == child[name] for name in ("step", "total", "score"))


def test_exported_weights_are_no_run(homeostat: Homeostat, trained: Path) -> None:
    inner = curve.inner(trained)
    assert homeostat("export", trained)[0] == 0
    assert "export" not in homeostat("runs", "--root", inner.folder)[1].replace(str(inner.folder), "")
    code, _, err = homeostat("evaluate", inner.export)
    assert (code, f"it holds the exported weights of {inner.folder}" in err) == (2, True)
    out = homeostat("runs", "--root", trained)[1]
    assert f"It is a run itself: homeostat status {trained}" in out


def test_a_run_is_found_from_within_its_folder(
    homeostat: Homeostat, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    assert f"Next: homeostat evaluate {trained}" in homeostat("status", ".")[1]


def test_events_are_json_where_that_is_asked_for(homeostat: Homeostat, trained: Path) -> None:
    events = [json.loads(line) for line in homeostat("logs", trained, "--json")[1].splitlines()]
    assert {"plan", "start", "score"} <= {event["kind"] for event in events}
    assert {event.get("within") for event in events} == {None, "split.curve.0"}
