"""A file is whole or absent, whoever else writes it and whenever its writer is killed; nothing else stays behind."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from disk import files_at_most
from homeostat.errors import OutOfResources, RunError
from homeostat.files import half_written, replacing, write_json
from homeostat.run.sealed import read_json
from patience import PATIENCE_S

# Forks a writer for every line that a write executes, and kills it there. It prints how many lines those were.
KILLED_AT_EVERY_LINE = """
import os, signal, sys
from pathlib import Path
from homeostat.files import replacing

path, count = Path(sys.argv[1]), 0

def write(text):
    with replacing(path) as scratch, scratch.open("w") as file:
        file.write(text[:500_000])
        file.flush()
        file.write(text[500_000:])

def killing_at(line):
    seen = 0

    def trace(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename not in (write.__code__.co_filename, replacing.__wrapped__.__code__.co_filename):
            return None
        seen += event == "line"
        if seen == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace

old, new = "a" * 1_000_000, "b" * 1_000_000
ends = {old: 0, new: 0}
write(old)
while True:
    pid = os.fork()
    if pid == 0:
        sys.settrace(killing_at(count + 1))
        write(new)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
        break
    count += 1
    ends[path.read_text()] += 1
    write(old)
    assert os.listdir(path.parent) == [path.name], os.listdir(path.parent)
assert path.read_text() == new
print(count, *ends.values())
"""

# Writes the file many times, each time whole with one letter.
WRITER = """
import sys
from pathlib import Path
from homeostat.files import replacing

for _ in range(200):
    with replacing(Path(sys.argv[1]), durable=False) as scratch:
        scratch.write_text(sys.argv[2] * 100_000)
"""


def python(code: str, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *(str(word) for word in words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return out


@pytest.mark.faults
def test_a_kill_at_any_line_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """The next write removes the scratch file."""
    lines, old, new = map(int, finished(python(KILLED_AT_EVERY_LINE, tmp_path / "x.json")).split())
    assert lines == old + new
    assert old > 20
    assert new > 3


def test_writers_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("a" * 100_000)
    writers = [python(WRITER, path, letter) for letter in "abc"]
    while any(writer.poll() is None for writer in writers):
        text = path.read_text()
        assert text == text[0] * 100_000
    for writer in writers:
        finished(writer)
    assert os.listdir(tmp_path) == ["x.json"]


def test_the_last_one_to_end_wins_and_does_not_clear_away_who_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with replacing(path) as outer:
        outer.write_text("outer")
        write_json(path, {"x": "inner"})
        assert read_json(path) == {"x": "inner"}
    assert path.read_text() == "outer"
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_scratch_file_left_by_a_kill_is_cleared_by_the_next_write_of_that_file_alone(
    tmp_path: Path,
) -> None:
    left = [tmp_path / ".x.json.01234567.part", tmp_path / ".y.json.01234567.part"]
    for path in left:
        path.write_text("ha")
    write_json(tmp_path / "x.json", {})
    assert sorted(os.listdir(tmp_path)) == [".y.json.01234567.part", "x.json"]


def test_an_error_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"x": 1})

    def fail() -> None:
        with replacing(path) as scratch:
            scratch.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read_json(path) == {"x": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_full_disk_keeps_the_old_file_and_is_out_of_resources(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"x": 1})
    with (
        files_at_most(100),
        pytest.raises(OutOfResources, match=r"No room to write .*x\.json: File too large"),
    ):
        write_json(path, {"x": "a" * 1000})
    assert read_json(path) == {"x": 1}
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_disk_that_refuses_any_step_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"x": 1})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OutOfResources, match="No room to write"):
        write_json(path, {"x": 2})
    monkeypatch.undo()
    assert read_json(path) == {"x": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_place_that_cannot_be_written_is_named_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        RunError, match=r"x\.json cannot be written: Not a directory\. Make the folder writable"
    ):
        write_json(tmp_path / "file" / "x.json", {})


def test_folders_are_made_and_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    path, plain = tmp_path / "a" / "b" / "x.json", tmp_path / "plain"
    write_json(path, {})
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_what_is_half_written_can_be_seen_from_outside(tmp_path: Path) -> None:
    with replacing(tmp_path / "inner" / "x.json") as scratch:
        assert half_written(tmp_path, "*.json") == [scratch]
        assert half_written(tmp_path, "*.ckpt") == []
    assert half_written(tmp_path, "*") == []


def test_json_is_written_in_full(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"ä": [1, None, "ü"], "path": tmp_path})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": [1, None, "ü"], "path": str(tmp_path)}


@pytest.mark.parametrize(
    ("text", "sentence"), [("{", "is not JSON"), ("[1]", "holds list; expected a JSON object")]
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(RunError, match=sentence):
        read_json(tmp_path / "config.json")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"config\.json does not exist\."):
        read_json(tmp_path / "config.json")
