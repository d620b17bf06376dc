"""Laws of sealed files: each is as it was written, or it is named with what can be done."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from homeostat.errors import RunError
from homeostat.run import Run, create, manifest, open_run, sealed

DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (lambda path: path.write_bytes(path.read_bytes() + b" "), "was changed after it was written"),
    "emptied": (lambda path: path.write_bytes(b""), "was changed after it was written"),
    "deleted": (lambda path: path.unlink(), "is missing"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder; expected a file"),
    "link": (lambda path: (path.unlink(), path.symlink_to("/dev/null")), "is a link; expected a file"),
    "pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "is a pipe; expected a file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_as_it_was_written_is_named(run: Run, damage: str) -> None:
    for path in (run.metrics_file, run.predictions / "test.parquet", run.child("a").fitted / "trees.json"):
        sealed.write(path, b"{}")
        assert sealed.read(path) == b"{}"
        change, sentence = DAMAGES[damage]
        change(path)
        with pytest.raises(RunError, match=rf"{path.name} {sentence}"):
            sealed.read(path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_manifest_that_is_not_as_it_was_written_is_named(run: Run, damage: str) -> None:
    change, _ = DAMAGES[damage]
    change(run.manifest_file)
    if damage == "changed":  # a space more is the same JSON
        plain = json.loads(run.manifest_file.read_text())
        plain["files"]["config.json"]["by"] = "somebody"
        run.manifest_file.write_text(json.dumps(plain))
    with pytest.raises(RunError, match=r"manifest\.json"):
        run.config()


def test_a_run_of_an_older_version_is_told_so_and_can_be_vouched_for(run: Run) -> None:
    run.manifest_file.unlink()
    with pytest.raises(
        RunError, match=r"no manifest\.json: an older version of homeostat made the run.*--seal"
    ):
        run.config()
    assert sealed.reseal(run.folder) == ["config.json"]
    assert run.config() == {"recipe": "none"}


def test_a_file_that_was_not_written_here_is_foreign(run: Run) -> None:
    sealed.write(run.predictions / "test.parquet", b"x")
    shutil.copy(run.predictions / "test.parquet", run.predictions / "twin.parquet")
    assert [path.name for path in sealed.files(run.predictions, "*.parquet")] == [
        "test.parquet", "twin.parquet",
    ]  # fmt: skip
    with pytest.raises(RunError, match=r"twin\.parquet was not written into this run"):
        sealed.read(run.predictions / "twin.parquet")


def test_a_deleted_file_is_still_expected(run: Run) -> None:
    path = run.predictions / "test.parquet"
    sealed.write(path, b"x")
    path.unlink()
    assert sealed.files(run.predictions, "*.parquet") == [path]
    assert sealed.has(path)


def test_a_child_of_another_run_is_refused(run: Run, tmp_path: Path) -> None:
    """Whole as it is: its identity follows from another parent."""
    other = create(tmp_path / "other", {})
    for each in (run, other):
        sealed.write_json(each.child("a").config_file, {"x": each.name})
    shutil.rmtree(run.child("a").folder)
    shutil.copytree(other.child("a").folder, run.child("a").folder)
    with pytest.raises(RunError, match=r"children/a/manifest\.json is that of another run"):
        run.child("a").config()


def test_a_file_outside_of_every_run_is_read_as_it_is(tmp_path: Path, run: Run) -> None:
    for path in (tmp_path / "config.json", run.folder / "mine.csv", run.export / "config.json"):
        sealed.write(path, b"1")
        path.write_bytes(b"2")
        assert sealed.read(path) == b"2"


@pytest.mark.parametrize("has_old", [False, True])
def test_a_stop_at_any_moment_leaves_the_old_file_or_the_new_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, has_old: bool
) -> None:
    """Stop at every call that changes the disk; the next opening settles it and leaves no scratch file."""
    path = run.fitted / "x.json"
    for moment in range(1, 60):
        sealed.remove(path)
        if has_old:
            sealed.write(path, b"old")
        calls = 0

        def stopping(name: str, moment: int = moment) -> Callable[..., object]:
            real = getattr(os, name)

            def call(*words: object, **keywords: object) -> object:
                nonlocal calls
                calls += 1
                if calls == moment:
                    raise KeyboardInterrupt
                return real(*words, **keywords)

            return call

        with monkeypatch.context() as patched:
            for name in ("open", "replace", "unlink", "fsync"):
                patched.setattr(os, name, stopping(name))
            with contextlib.suppress(KeyboardInterrupt):
                sealed.write(path, b"new")
        with run.active():
            pass
        assert not list(run.folder.rglob("*.part"))
        assert sealed.problems(run.folder) == {}
        if sealed.has(path):
            assert sealed.read(path) in (b"old", b"new")
        else:
            assert not has_old
        if calls < moment:
            break
    assert moment > 10
    assert sealed.read(path) == b"new"


def test_what_was_made_from_another_file_is_stale(run: Run) -> None:
    metrics, source = run.metrics_file, run.predictions / "test.parquet"
    sealed.write(source, b"1")
    sealed.write(metrics, b"{}", {"predictions/test.parquet": sealed.digest(source)})
    assert sealed.problems(run.folder) == {}
    sealed.write(source, b"2")
    (sentence,) = sealed.problems(run.folder).values()
    assert "metrics.json was made from another predictions/test.parquet" in sentence
    assert sentence.endswith(f"Make it again: homeostat evaluate {run.folder}")


def test_the_manifest_tells_who_wrote_each_file(run: Run) -> None:
    entry = manifest.load(run.folder).files["config.json"]
    assert entry.by.startswith("homeostat ")
    assert len(manifest.load(run.folder).run) == 32


def test_a_making_that_was_cut_off_can_be_begun_again(tmp_path: Path) -> None:
    for leave in (lambda folder: None, sealed.begin, lambda folder: (folder / "journal.jsonl").touch()):
        folder = tmp_path / "cut"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / ".config.json.01234567.part").write_text("{")
        leave(folder)
        with pytest.raises(RunError, match=r"never began: it holds no config\.json yet\. Start it"):
            open_run(folder)
        assert create(folder, {"recipe": "x"}).config() == {"recipe": "x"}
        assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe", b"[]", b"{}", b'{"state": 7}', b'{"state": "done", "step": "x", "score": 3}']
)
def test_a_damaged_status_stops_nobody(run: Run, text: bytes) -> None:
    run.status_file.write_bytes(text)
    assert run.status()["state"] in ("unknown", "done")
    assert "step" not in run.status()
    assert "score" not in run.status()
    with run.active():
        run.journal("start", step=0)
    assert run.status()["state"] == "done"


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"[1]\n", b'{"kind": 3}\n', b"[" * 100_000])
def test_a_damaged_journal_loses_its_damaged_lines_only(run: Run, text: bytes) -> None:
    run.journal_file.write_bytes(text)
    with run.active():
        run.journal("start", step=0)
    assert [event["kind"] for event in run.events()] == ["start"]
