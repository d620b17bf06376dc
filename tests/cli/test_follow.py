"""Runs are followed from plain files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from homeostat.run import Run, create

Homeostat = Callable[..., tuple[int, str, str]]


def test_runs_and_status(homeostat: Homeostat, trained: Path) -> None:
    code, out, _ = homeostat("runs", "--root", trained.parent)
    assert code == 0
    header, row = out.splitlines()
    assert header.split() == ["run", "state", "step", "left", "score", "heartbeat"]
    assert "done   split.curve.0: 10 of 10" in row
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
