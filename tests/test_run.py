"""A run is a folder: locked while it lives, truthful after it died, and never half written."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from homeostat.errors import Halted, Interrupted, OutOfResources, RunError
from homeostat.run import Run, create, find_all, named, open_run
from patience import wait_for


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create(tmp_path / "run", {"recipe": "none"})


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


def test_a_killed_process_is_told_as_died_and_its_lock_is_free(run: Run) -> None:
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


def test_the_journal_is_strict_json_and_shows_what_is_no_number(run: Run) -> None:
    with run.active():
        run.journal("step", loss=float("nan"), nested={"x": [float("inf")]})
    line = run.journal_file.read_text().splitlines()[0]
    event = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert (event["loss"], event["nested"]) == ("nan", {"x": ["inf"]})


def test_a_line_cut_off_by_a_kill_is_left_out(run: Run) -> None:
    with run.active():
        run.journal("step", loss=1.0)
    with run.journal_file.open("a") as journal:
        journal.write('{"kind": "step", "lo')
    assert [event["loss"] for event in run.events("step")] == [1.0]


def test_the_journal_of_a_run_that_is_not_active_is_closed(run: Run) -> None:
    with pytest.raises(
        RunError, match=r"Run run is not active; write to its journal inside `with run\.active\(\):`"
    ):
        run.journal("step")


def test_runs_compose_by_child_alone(run: Run) -> None:
    child = run.child("fold-0")
    assert child.folder == run.folder / "children" / "fold-0"
    assert [one.name for one in run.children()] == ["fold-0"]
    for name in ("", "../x", "a/b", ".hidden"):
        with pytest.raises(RunError, match="A child run cannot be called"):
            run.child(name)


def test_an_existing_folder_is_not_taken(run: Run) -> None:
    with pytest.raises(
        RunError, match=r"exists already\. Choose another --run, or continue it with `homeostat resume"
    ):
        create(run.folder, {})


def test_names_are_free_even_within_a_second(tmp_path: Path) -> None:
    for _ in range(3):
        create(named(tmp_path, "icu"), {})
    assert len(find_all(tmp_path)) == 3


def test_a_folder_that_is_no_run_lists_those_that_are(run: Run) -> None:
    with pytest.raises(RunError, match=r"holds no config\.json\. Runs in .*: run\."):
        open_run(run.folder.parent / "rum")


def test_two_who_ask_do_not_take_each_other_for_an_owner(run: Run) -> None:
    run.journal_file.touch()
    with run.journal_file.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not run.is_alive()
