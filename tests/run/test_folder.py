"""A run is a folder: looking at it changes nothing, and runs compose by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.errors import RunError
from homeostat.run import Run
from homeostat.run.sealed import write_json


def test_runs_compose_by_child_alone(run: Run) -> None:
    child = run.child("fold-0")
    assert child.folder == run.folder / "children" / "fold-0"
    with child.active():
        pass
    assert [each.name for each in run.children()] == ["fold-0"]
    for name in ("", "../x", "a/b", ".hidden"):
        with pytest.raises(RunError, match="A child run cannot be called"):
            run.child(name)


def test_a_family_is_the_run_and_all_runs_inside_it_by_their_names_from_here(run: Run) -> None:
    for member in (run.child("b"), run.child("a").child("x")):
        member.folder.mkdir(parents=True)
    assert [name for name, _ in run.family()] == ["", "a", "a/x", "b"]
    assert [member.folder.name for _, member in run.family()] == [run.name, "a", "x", "b"]


def test_a_child_has_a_folder_when_something_is_written_into_it(run: Run) -> None:
    before = sorted(run.folder.rglob("*"))
    child = run.child("stage").child("fold-0")
    assert child.status() == {"state": "new"}
    assert not child.is_alive()
    assert list(child.events()) == []
    assert child.children() == []
    assert sorted(run.folder.rglob("*")) == before
    write_json(child.config_file, {})
    assert [each.name for each in run.child("stage").children()] == ["fold-0"]
    run.child("other").environment(device="cpu")
    assert [each.name for each in run.children()] == ["other", "stage"]


def test_a_folder_beside_the_children_that_is_no_name_of_a_run_harms_nobody(run: Run) -> None:
    (run.folder / "children" / ".ipynb_checkpoints").mkdir(parents=True)
    assert [each.status()["state"] for each in run.children()] == ["new"]


def test_names_of_files_are_fixed(run: Run) -> None:
    with pytest.raises(AttributeError, match="read-only"):
        run.config_file = Path("other.json")


def test_environment_is_added_to(run: Run) -> None:
    run.environment(device="cpu")
    run.environment(python="3.11")
    assert Run(run.folder).environment_file.read_text().count('"') == 8
    run.environment(device="cuda")
    assert '"cuda"' in run.environment_file.read_text()


def test_a_shadow_owns_its_copy_and_reads_the_checkpoints_of_the_run(run: Run, tmp_path: Path) -> None:
    with run.active():
        shadow = run.shadow(tmp_path / "copy")
        assert shadow.is_shadow
        assert shadow.child("x").is_shadow
        assert not run.is_shadow
        assert not run.child("x").is_shadow
        assert shadow.config() == run.config()
        with shadow.active():
            assert shadow.is_alive()
    assert shadow.shadow(tmp_path / "again").checkpoints == run.checkpoints
    assert shadow.child("x").checkpoints == run.child("x").checkpoints
    assert shadow.child("x").splits_file == tmp_path / "copy" / "children" / "x" / "splits.json"


def test_a_run_that_has_no_folder_yet_has_a_shadow(run: Run, tmp_path: Path) -> None:
    shadow = run.child("x").shadow(tmp_path / "copy")
    with shadow.active():
        shadow.journal("step")
    assert [event["kind"] for event in shadow.events()] == ["step"]
    assert run.children() == []
