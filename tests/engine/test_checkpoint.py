"""A checkpoint is the old file or the new one, and says when it is neither."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from disk import files_at_most
from homeostat.engine import checkpoint
from homeostat.errors import CheckpointError, OutOfResources
from homeostat.files import replacing
from homeostat.run import create, sealed


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def emptied(data: bytes) -> bytes:
    return b""


DAMAGES = [truncated, zeroed, flipped, emptied]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoints of a run."""
    return create(tmp_path / "run", {}).checkpoints


def test_round_trip(folder: Path) -> None:
    path = checkpoint.path_of(folder, 400)
    checkpoint.write(path, {"state": {"x": torch.arange(5), "words": ["a", None, 1.5]}})
    assert path.name == "step-000400.ckpt"
    assert sealed.digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.is_intact(path)
    state = checkpoint.read(path)["state"]
    assert torch.equal(state["x"], torch.arange(5))
    assert state["words"] == ["a", None, 1.5]
    assert os.listdir(folder) == [path.name]


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_seen(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    path = checkpoint.path_of(folder, 1)
    checkpoint.write(path, {"state": {"x": torch.arange(500)}})
    path.write_bytes(damage(path.read_bytes()))
    assert not checkpoint.is_intact(path)


def test_a_file_that_was_not_written_here_is_foreign(folder: Path) -> None:
    checkpoint.write(checkpoint.path_of(folder, 1), {"state": {}})
    path = checkpoint.path_of(folder, 999999)
    path.write_bytes(checkpoint.path_of(folder, 1).read_bytes())
    with pytest.raises(CheckpointError, match=r"step-999999\.ckpt was not written into this run"):
        checkpoint.is_intact(path)


def test_a_file_of_another_place_is_refused_even_when_somebody_vouches_for_it(
    folder: Path, tmp_path: Path
) -> None:
    """Each checkpoint names its run and its own name: one that was exchanged and sealed again contradicts itself."""
    other = create(tmp_path / "other", {})
    paths = [checkpoint.path_of(each, 1) for each in (folder, other.checkpoints)]
    for path in (*paths, checkpoint.path_of(folder, 2)):
        checkpoint.write(path, {"state": {}})
    for foreign in (paths[1], checkpoint.path_of(folder, 2)):
        paths[0].write_bytes(foreign.read_bytes())
        sealed.reseal(folder.parent)
        assert checkpoint.is_intact(paths[0])
        with pytest.raises(
            CheckpointError, match=r"was written as step-00000\d\.ckpt of the run \w{32}\. Move it"
        ):
            checkpoint.read(paths[0])


def test_another_format_names_both_versions_and_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "step-000001.ckpt"
    torch.save({"format": 0, "homeostat": "0.0.7", "state": {}}, path)
    with pytest.raises(
        CheckpointError,
        match=r"has format 0, written by homeostat 0\.0\.7\. .*reads format 2\. .*homeostat==0\.0\.7",
    ):
        checkpoint.read(path)


def test_a_torch_file_of_others_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "step-000001.ckpt"
    torch.save({"model": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="is a torch file, but not a homeostat checkpoint"):
        checkpoint.read(path)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("touch /tmp/homeostat-was-here",))


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "step-000001.ckpt"
    torch.save(Malicious(), path)
    with pytest.raises(CheckpointError, match="is not a homeostat checkpoint"):
        checkpoint.read(path)
    assert not Path("/tmp/homeostat-was-here").exists()


@pytest.mark.parametrize("content", [b"", b"text", bytes(1000)])
def test_any_other_file_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "step-000001.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a homeostat checkpoint"):
        checkpoint.read(path)


def test_the_ring_is_in_the_order_of_steps_beyond_six_digits(tmp_path: Path) -> None:
    for step in (1_000_000, 999_999, 5):
        checkpoint.write(checkpoint.path_of(tmp_path, step), {"state": {}})
    with replacing(tmp_path / "step-000007.ckpt"):
        names = [path.name for path in checkpoint.ring(tmp_path)]
    assert names == [
        "step-000005.ckpt", "step-999999.ckpt", "step-1000000.ckpt",
    ]  # fmt: skip


def test_cleaning_removes_what_a_kill_left_and_nothing_else(folder: Path) -> None:
    checkpoint.write(checkpoint.path_of(folder, 1), {"state": {}})
    (folder / ".step-000002.ckpt.01234567.part").write_bytes(b"half")
    checkpoint.clean(folder)
    assert os.listdir(folder) == ["step-000001.ckpt"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    checkpoint.write(path, {"state": {"x": 1}})

    with files_at_most(100), pytest.raises(OutOfResources, match=r"No room to write .*best\.ckpt"):
        checkpoint.write(path, {"state": {"x": 2}})
    assert checkpoint.is_intact(path)
    assert checkpoint.read(path)["state"] == {"x": 1}


def test_reserved_space_is_really_taken_and_given_back(tmp_path: Path) -> None:
    checkpoint.reserve(tmp_path, 1 << 20)
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1 << 20
    checkpoint.release(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_disk_without_room_for_two_checkpoints_is_refused_at_the_start(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    with pytest.raises(OutOfResources, match="has no room for the two checkpoints .* reserved at the start"):
        checkpoint.reserve(tmp_path, 2 * free.f_blocks * free.f_frsize)
    assert os.listdir(tmp_path) == []
