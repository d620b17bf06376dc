"""One process holds a lock; whoever asks about it is no owner."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from homeostat.errors import RunError
from homeostat.run.lock import is_locked, locked


def test_a_lock_is_held_until_its_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert not is_locked(path)
    with locked(path, "a"):
        assert is_locked(path)
        with pytest.raises(RunError, match="Run a is being trained by another process"):
            locked(path, "a")
    assert not is_locked(path)
    locked(path, "a").close()


def test_two_who_ask_do_not_take_each_other_for_an_owner(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.touch()
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not is_locked(path)


def test_a_file_that_cannot_be_opened_is_named_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is a folder; expected a file\. Remove it"):
        is_locked(tmp_path)
    with pytest.raises(RunError, match=r"is a folder; expected a file\. Remove it"):
        locked(tmp_path, "a")
