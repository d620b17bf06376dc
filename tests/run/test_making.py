"""A new run has a folder of its own; a start that failed gives its name back."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.errors import RunError
from homeostat.run import Run, create, find_all, is_unbegun, named
from homeostat.run.sealed import write_json


def failed(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.active():
        1 / 0  # noqa: B018


def test_an_existing_folder_is_not_taken(run: Run) -> None:
    with pytest.raises(
        RunError, match=r"exists already\. Choose another --run, or continue it with `homeostat resume"
    ):
        create(run.folder, {})


def test_a_folder_that_cannot_be_made_is_named_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be made: Not a directory\. Choose another --run\."):
        create(tmp_path / "file" / "run", {})


def test_names_are_free_even_within_a_second(tmp_path: Path) -> None:
    for _ in range(3):
        create(named(tmp_path, "icu"), {})
    assert len(find_all(tmp_path)) == 3


def test_a_failed_start_is_cleared_and_files_of_others_stay(run: Run) -> None:
    (run.folder / "notes.txt").touch()
    child = run.child("fold-0")
    child.checkpoints.mkdir(parents=True)
    (child.checkpoints / "step-000000.ckpt").touch()
    run.environment(device="cpu")
    failed(run)
    assert is_unbegun(run)
    again = create(run.folder, {"recipe": "other"})
    assert again.config() == {"recipe": "other"}
    assert (again.status(), again.children(), list(again.events())) == ({"state": "new"}, [], [])
    assert not again.environment_file.exists()
    assert (run.folder / "notes.txt").exists()


@pytest.mark.parametrize(
    "result",
    [
        "checkpoints/step-000001.ckpt", "children/a/checkpoints/best.ckpt", "predictions/test.parquet",
        "export/model.safetensors", "children/a/fitted/trees.json",
    ],
)  # fmt: skip
def test_a_failure_after_something_was_learnt_keeps_its_name(run: Run, result: str) -> None:
    failed(run)
    assert is_unbegun(run)
    write_json(run.folder / result, {})
    assert not is_unbegun(run)
    with pytest.raises(RunError, match="exists already"):
        create(run.folder, {})


def test_only_a_failure_gives_a_name_back(run: Run) -> None:
    assert not is_unbegun(run)
    with run.active():
        assert not is_unbegun(run)
    assert not is_unbegun(run)
