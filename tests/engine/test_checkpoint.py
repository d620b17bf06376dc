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


def test_round_trip_and_seal_in_the_format_of_sha256sum(tmp_path: Path) -> None:
    path = checkpoint.path_of(tmp_path, 400)
    checkpoint.write(path, {"state": {"x": torch.arange(5), "words": ["a", None, 1.5]}})
    assert path.name == "step-000400.ckpt"
    seal = (tmp_path / "step-000400.ckpt.sha256").read_text()
    assert seal == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  step-000400.ckpt\n"
    assert checkpoint.is_intact(path)
    state = checkpoint.read(path)["state"]
    assert torch.equal(state["x"], torch.arange(5))
    assert state["words"] == ["a", None, 1.5]
    assert sorted(os.listdir(tmp_path)) == [path.name, path.name + ".sha256"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_seen(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = checkpoint.path_of(tmp_path, 1)
    checkpoint.write(path, {"state": {"x": torch.arange(500)}})
    path.write_bytes(damage(path.read_bytes()))
    assert not checkpoint.is_intact(path)


def test_a_damaged_seal_is_seen(tmp_path: Path) -> None:
    path = checkpoint.path_of(tmp_path, 1)
    checkpoint.write(path, {"state": {}})
    checkpoint.seal_of(path).write_bytes(b"\xff\xfe")
    assert not checkpoint.is_intact(path)


def test_a_file_without_seal_is_foreign(tmp_path: Path) -> None:
    path = checkpoint.path_of(tmp_path, 1)
    torch.save({"model": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"has no step-000001\.ckpt\.sha256 beside it"):
        checkpoint.is_intact(path)


def test_another_format_names_both_versions_and_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "step-000001.ckpt"
    torch.save({"format": 0, "homeostat": "0.0.7", "state": {}}, path)
    with pytest.raises(
        CheckpointError,
        match=r"has format 0, written by homeostat 0\.0\.7\. .*reads format 1\. .*homeostat==0\.0\.7",
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


def test_cleaning_removes_what_a_kill_left_and_nothing_else(tmp_path: Path) -> None:
    checkpoint.write(checkpoint.path_of(tmp_path, 1), {"state": {}})
    (tmp_path / ".step-000002.ckpt.01234567.part").write_bytes(b"half")
    (tmp_path / "step-000002.ckpt.sha256").write_text("seal of a file that was never renamed")
    checkpoint.clean(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["step-000001.ckpt", "step-000001.ckpt.sha256"]


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
