"""Damaged, foreign and unwritable files, full disks, clocks that jump: no state is lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, model, pairs, squared_error
from disk import files_at_most
from homeostat.engine import checkpoint
from homeostat.engine.fit import fit
from homeostat.engine.saver import SaveConfig
from homeostat.engine.state import differences
from homeostat.errors import CheckpointError, Interrupted, OutOfResources, RunError
from homeostat.files import half_written
from homeostat.run import Run, create, life
from homeostat.task.task import Loss

pytestmark = pytest.mark.faults

SAVING = replace(SETTINGS, saving=SaveConfig(save_every=5))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create(tmp_path / "run", {"recipe": "curve"})


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, object]:
    return fit(make_task(), SAVING, create(tmp_path / "whole", {})).snapshot()


def interrupted_at(run: Run, step: int) -> None:
    """Train to a step and leave as a signal would."""
    calls = count(1)

    def stopping(network: nn.Module, batch: Pairs) -> Loss:
        if next(calls) == step:
            os.kill(os.getpid(), 15)
        return squared_error(network, batch)

    with pytest.raises(Interrupted):
        fit(make_task(loss=stopping), SAVING, run)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) // 3],
    "zeroed": lambda data: bytes(len(data)),
    "bit-flipped": lambda data: data[:5000] + bytes([data[5000] ^ 4]) + data[5001:],
    "emptied": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_newest_intact_checkpoint_wins_and_the_fall_back_is_announced(
    run: Run, expected: dict[str, object], damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    interrupted_at(run, 13)
    newest = checkpoint.ring(run.checkpoints)[-1]
    assert newest.name == "step-000013.ckpt"
    newest.write_bytes(DAMAGES[damage](newest.read_bytes()))
    capfd.readouterr()
    state = fit(make_task(), SAVING, run)
    sentence = "step-000013.ckpt.damaged was changed after it was written; used step-000010.ckpt"
    assert next(run.events("fallback"))["sentence"] == sentence
    assert sentence in capfd.readouterr().err
    assert [event["step"] for event in run.events("resume")] == [10]
    assert not differences(expected, state.snapshot())


def test_two_damaged_ones_fall_back_twice(run: Run, expected: dict[str, object]) -> None:
    interrupted_at(run, 13)
    for path in checkpoint.ring(run.checkpoints)[-2:]:
        path.write_bytes(b"")
    assert not differences(expected, fit(make_task(), SAVING, run).snapshot())
    assert len(list(run.events("fallback"))) == 2


def test_a_kill_before_the_oldest_is_removed_leaves_none_too_many(
    run: Run, expected: dict[str, object]
) -> None:
    fit(make_task(), SAVING, run)
    ring = checkpoint.ring(run.checkpoints)
    checkpoint.write(checkpoint.path_of(run.checkpoints, 0), {"state": {}})
    assert not differences(expected, fit(make_task(), SAVING, run).snapshot())
    assert checkpoint.ring(run.checkpoints) == ring


def test_when_all_are_damaged_nothing_starts_over_silently(run: Run) -> None:
    interrupted_at(run, 13)
    for path in checkpoint.ring(run.checkpoints):
        path.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"All 3 checkpoints in .* are damaged or missing .*Restore one from a backup"
    ):
        fit(make_task(), SAVING, run)
    assert len(checkpoint.ring(run.checkpoints)) == 3


def test_a_foreign_file_in_the_ring_is_an_error_and_not_a_guess(run: Run) -> None:
    interrupted_at(run, 13)
    torch.save({"model": model().state_dict()}, run.checkpoints / "step-000099.ckpt")
    with pytest.raises(
        CheckpointError, match=r"step-000099\.ckpt was not written into this run.* Move it out"
    ):
        fit(make_task(), SAVING, run)


def test_a_checkpoint_of_another_version_names_it_and_the_cure(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(checkpoint, "FORMAT", 0)
        interrupted_at(run, 13)
    with pytest.raises(CheckpointError, match=r"has format 0, written by homeostat .* or start a new run"):
        fit(make_task(), SAVING, run)


def test_a_checkpoint_of_another_model_lists_what_differs(run: Run) -> None:
    interrupted_at(run, 13)
    wider = make_task(model(hidden=17))
    with pytest.raises(CheckpointError, match=r"0\.weight \(16, 4\) in the file, \(17, 4\) in the model"):
        fit(wider, SAVING, run)
    batch_norm = make_task(model(norm=True))
    with pytest.raises(CheckpointError, match=r"missing: 1\.weight, 1\.bias, 1\.running_mean"):
        fit(batch_norm, SAVING, run)


def test_a_checkpoint_of_other_data_says_so(run: Run) -> None:
    interrupted_at(run, 13)
    with pytest.raises(CheckpointError, match="count 70 -> 60, size 16 -> 16, seed 7 -> 7"):
        fit(make_task(train=pairs(60)), SAVING, run)


def test_a_file_limit_while_saving_ends_resumable_and_the_old_checkpoint_stays(
    run: Run, expected: dict[str, object]
) -> None:
    interrupted_at(run, 7)
    before = {path.name: path.read_bytes() for path in checkpoint.ring(run.checkpoints)}
    calls = count(1)
    limit = None

    def limiting(network: nn.Module, batch: Pairs) -> Loss:
        nonlocal limit
        if next(calls) == 2:
            limit = files_at_most(6000)
            limit.__enter__()
        return squared_error(network, batch)

    try:
        with pytest.raises(
            OutOfResources, match=r"No room to write .*step-000010\.ckpt.* intact state is step-000007"
        ):
            fit(make_task(loss=limiting), SAVING, run)
    finally:
        assert limit is not None
        limit.__exit__(None, None, None)
    for path in checkpoint.ring(run.checkpoints):
        assert path.read_bytes() == before[path.name]
        assert checkpoint.is_intact(path)
    assert run.status()["state"] == "interrupted"
    assert OutOfResources.exit_code == 6
    assert not differences(expected, fit(make_task(), SAVING, run).snapshot())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("Only root can mount a small tmpfs; the file-size limit tests the same path without it.")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(handle, bytes(4096))
    os.close(handle)


def test_a_full_disk_is_met_with_the_reserved_space(small_disk: Path, expected: dict[str, object]) -> None:
    run = create(small_disk / "run", {"recipe": "curve"})
    interrupted_at(run, 7)
    calls = count(1)

    def filling(network: nn.Module, batch: Pairs) -> Loss:
        if next(calls) == 2:
            fill(small_disk / "somebody-else")
        return squared_error(network, batch)

    with pytest.raises(OutOfResources, match="The state of step 10 was saved in the reserved space"):
        fit(make_task(loss=filling), SAVING, run)
    assert checkpoint.ring(run.checkpoints)[-1].name == "step-000010.ckpt"
    with pytest.raises(OutOfResources, match="has no room for the two checkpoints"):
        fit(make_task(), SAVING, run)
    (small_disk / "somebody-else").unlink()
    assert not differences(expected, fit(make_task(), SAVING, run).snapshot())


def test_a_disk_that_fails_once_is_met_with_the_reserved_space(
    run: Run, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def full_while_reserved(handle: int) -> None:
        reserved = (run.checkpoints / "reserve").exists()
        if reserved and half_written(run.checkpoints, "step-000010.ckpt"):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full_while_reserved)
    with pytest.raises(OutOfResources, match="The state of step 10 was saved in the reserved space"):
        fit(make_task(), SAVING, run)
    monkeypatch.undo()
    assert not differences(expected, fit(make_task(), SAVING, run).snapshot())


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere; for a while this process is somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(folder)


def test_a_read_only_run_folder_is_refused_in_one_sentence(open_folder: Path) -> None:
    run = create(open_folder / "run", {})
    run.folder.chmod(0o555)
    with (
        as_nobody(),
        pytest.raises(RunError, match=r"journal\.jsonl cannot be written: Permission denied\. Make the"),
    ):
        fit(make_task(), SAVING, run)


def test_a_run_folder_that_becomes_read_only_keeps_its_last_checkpoint(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    with as_nobody():
        run = create(open_folder / "run", {})
        interrupted_at(run, 7)
        run.checkpoints.chmod(0o555)
        with pytest.raises(RunError, match=r"checkpoints.* cannot be written: Permission denied\."):
            fit(make_task(), SAVING, run)
        assert [checkpoint.is_intact(path) for path in checkpoint.ring(run.checkpoints)] == [True, True, True]


def test_a_new_run_does_not_take_an_existing_name(run: Run) -> None:
    with pytest.raises(
        RunError, match=r"exists already\. Choose another --run, or continue it with `homeostat resume"
    ):
        create(run.folder, {})


def test_two_processes_on_one_run_are_refused(run: Run) -> None:
    with run.active(), pytest.raises(RunError, match="Run run is being trained by another process"):
        fit(make_task(), SAVING, Run(run.folder))
    fit(make_task(), SAVING, Run(run.folder))


def test_a_clock_that_jumps_changes_nothing(
    run: Run, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = count()

    def jumping() -> str:
        """Back and forth by years at every look."""
        return (datetime.now(UTC) + timedelta(days=1000 * (-1) ** next(jumps))).isoformat(
            timespec="milliseconds"
        )

    monkeypatch.setattr(life, "now", jumping)
    interrupted_at(run, 13)
    assert not run.is_alive()
    state = fit(make_task(), SAVING, run)
    assert not differences(expected, state.snapshot())
    seconds = [event["seconds"] for event in run.events("step", "score")]
    assert all(0 <= value < 60 for value in seconds)


def test_a_full_disk_while_a_good_state_is_kept_ends_resumably(
    run: Run, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def full(handle: int) -> None:
        if half_written(run.checkpoints, "good-000010.ckpt"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    healing = replace(SAVING, heal=True)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfResources, match=r"No room to write .*good-000010\.ckpt"):
        fit(make_task(), healing, run)
    assert run.status()["state"] == "interrupted"
    monkeypatch.undo()
    assert not differences(expected, fit(make_task(), healing, run).snapshot())
