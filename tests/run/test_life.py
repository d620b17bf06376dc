"""A run is owned while it is active, truthful after it died, and never goes on without its owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from homeostat.errors import Halted, Interrupted, OutOfResources, RunError
from homeostat.run import Run
from patience import wait_for


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Halted("x"), "halted"), (Interrupted("x"), "interrupted"), (OutOfResources("x"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"), (ZeroDivisionError("x"), "failed"),
    ],
)  # fmt: skip
def test_how_a_run_ended_is_in_its_status(run: Run, error: BaseException, state: str) -> None:
    def die() -> None:
        with run.active():
            assert run.status()["state"] == "running"
            raise error

    with pytest.raises(type(error)):
        die()
    assert run.status()["state"] == state
    assert not run.is_alive()


def test_a_run_that_ends_well_is_done_and_an_inner_end_is_none(run: Run) -> None:
    with run.active():
        with run.active():
            pass
        assert run.status()["state"] == "running"
        assert run.is_alive()
    assert run.status()["state"] == "done"


def test_a_failure_leaves_its_traceback_in_the_journal(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.active():
        1 / 0  # noqa: B018
    event = next(run.events("failed"))
    assert event["reason"] == "ZeroDivisionError: division by zero"
    assert "1 / 0" in "".join(event["traceback"])


def test_a_killed_process_shows_as_died_and_its_lock_is_free(run: Run) -> None:
    code = "import time\nfrom pathlib import Path\nfrom homeostat.run import Run\n"
    code += f"with Run(Path({str(run.folder)!r})).active(): time.sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: run.status()["state"] == "running")
    with pytest.raises(RunError, match="is being trained by another process"), run.active():
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run.status()["state"] == "died"
    with run.active():
        pass


def test_the_heartbeat_brings_the_journal_to_the_disk_and_ends_with_the_run(run: Run) -> None:
    before = threading.active_count()
    with run.active():
        run.journal("step", loss=1.0)
        wait_for(lambda: list(run.events("step")))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_values_of_the_status_are_written_at_the_end(run: Run) -> None:
    with run.active():
        run.progress(step=3, eta_s=7.0)
    status = run.status()
    assert (status["step"], status["eta_s"], status["exit_code"]) == (3, 0, 0)
    assert status["pid"] == os.getpid()


@pytest.mark.parametrize(
    "use",
    [lambda run: run.journal("step"), lambda run: run.progress(step=1), lambda run: run.flush()],
    ids=["journal", "progress", "flush"],
)
def test_only_the_owner_writes(run: Run, use) -> None:
    sentence = r"Run run is not active; write to its journal inside `with run\.active\(\):`"
    with pytest.raises(RunError, match=sentence):
        use(run)
    with run.active():
        use(run)
    with pytest.raises(RunError, match=sentence):
        use(run)


def test_an_event_after_a_line_that_a_kill_cut_off_has_a_line_of_its_own(run: Run) -> None:
    run.journal_file.write_text('{"kind": "step", "loss": 1.0}\n{"kind": "step", "lo')
    with run.active():
        run.journal("resume", step=1)
    assert [event["kind"] for event in run.events()] == ["step", "resume"]


def test_a_journal_that_ends_well_gains_no_empty_line(run: Run) -> None:
    for step in range(2):
        with run.active():
            run.journal("step", step=step)
    lines = run.journal_file.read_text().split("\n")
    assert [json.loads(line)["step"] for line in lines[:-1]] == [0, 1]
    assert lines[-1] == ""


def test_a_folder_is_made_by_its_owner(tmp_path: Path) -> None:
    run = Run(tmp_path / "a" / "b")
    with run.active():
        assert run.is_alive()
    (tmp_path / "file").touch()
    with (
        pytest.raises(RunError, match=r"file/c cannot be written: Not a directory"),
        Run(tmp_path / "file" / "c").active(),
    ):
        pass
