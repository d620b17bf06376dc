"""Runs are found by their folder, and a wrong folder is answered with those that are near."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeostat.errors import RunError
from homeostat.run import Run, create, find_all, open_run


def test_a_folder_that_is_no_run_lists_those_that_are(run: Run) -> None:
    with pytest.raises(RunError, match=r"holds no config\.json\. Runs in .*: run\."):
        open_run(run.folder.parent / "rum")


def test_a_run_that_exists_is_opened(run: Run) -> None:
    assert open_run(run.folder).config() == {"recipe": "none"}


def test_runs_are_listed_by_age_and_other_folders_are_none(tmp_path: Path) -> None:
    for age, name in enumerate("bca"):
        made_at = 1_000_000 + age
        os.utime(create(tmp_path / name, {}).config_file, (made_at, made_at))
    (tmp_path / "other").mkdir()
    (tmp_path / "file").touch()
    assert [each.name for each in find_all(tmp_path)] == ["b", "c", "a"]
    assert find_all(tmp_path / "nowhere") == []
