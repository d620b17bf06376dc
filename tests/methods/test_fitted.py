"""Laws of fitted state: a stop at any moment leaves the old value or the new one, and a changed file is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from homeostat.errors import RunError
from homeostat.files import clear_below
from homeostat.methods import fitted
from homeostat.run import Run, create, sealed


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create(tmp_path / "run", {})


def test_values_are_read_back_and_replaced(run: Run) -> None:
    assert not fitted.has(run, "scales")
    fitted.save(run, "scales", {"shift": [0.1, 1e-300, 2**53], "names": ["HR"]})
    fitted.save(run, "trees", {"model": "x"})
    fitted.save(run, "scales", {"shift": [1.0]})
    assert fitted.has(run, "scales")
    assert fitted.load(run, "scales") == {"shift": [1.0]}
    assert fitted.load(run, "trees") == {"model": "x"}
    assert sorted(path.name for path in run.fitted.iterdir()) == ["scales.json", "trees.json"]


@pytest.mark.parametrize("has_old", [False, True])
def test_a_stop_at_any_moment_leaves_the_old_value_or_the_new_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, has_old: bool
) -> None:
    """Stop at every call that changes the disk, as a kill there would; another start then saves again."""
    old, new = {"shift": [1.0]}, {"shift": [2.0] * 1000}
    if has_old:
        fitted.save(run, "scales", old)
    moments, stops = 1, 0
    for moment in range(1, 60):
        moments = 0

        def stopping(name: str, moment: int = moment) -> Any:
            real = getattr(os, name)

            def call(*words: Any, **keywords: Any) -> Any:
                nonlocal moments
                moments += 1
                if moments == moment:
                    raise KeyboardInterrupt
                return real(*words, **keywords)

            return call

        with monkeypatch.context() as patched:
            for name in ("open", "replace", "unlink", "fsync"):
                patched.setattr(os, name, stopping(name))
            try:
                fitted.save(run, "scales", new)
            except KeyboardInterrupt:
                stops += 1
        if fitted.has(run, "scales"):
            assert fitted.load(run, "scales") in (old, new)
        else:
            assert not has_old
        if moments < moment:
            break
        sealed.remove(run.fitted / "scales.json")
        clear_below(run.folder)
        assert not list(run.fitted.glob("*"))
        if has_old:
            fitted.save(run, "scales", old)
    assert stops > 5
    assert fitted.load(run, "scales") == new


def test_a_changed_or_missing_file_is_named(run: Run) -> None:
    fitted.save(run, "scales", {"shift": [1.0]})
    (file,) = run.fitted.iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-3], whole.replace(b"1.0", b"1.5"), b""):
        file.write_bytes(damaged)
        with pytest.raises(RunError, match=f"{file.name} was changed after it was written"):
            fitted.load(run, "scales")
    file.unlink()
    with pytest.raises(RunError, match=f"{file.name} is missing"):
        fitted.load(run, "scales")
    with pytest.raises(RunError, match="holds no fitted 'trees'"):
        fitted.load(run, "trees")


def test_a_value_that_is_no_number_is_refused(run: Run) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        fitted.save(run, "scales", {"shift": [float("nan")]})
    assert not fitted.has(run, "scales")


def test_a_failed_start_leaves_no_fitted_state_for_the_next(tmp_path: Path) -> None:
    """Another start may have other settings, so that nothing may be left of the first."""
    run = create(tmp_path / "again", {})

    def start() -> None:
        with run.active():
            fitted.save(run, "scales", {"shift": [1.0]})
            raise RunError("there are no deaths")

    with pytest.raises(RunError, match="no deaths"):
        start()
    assert not fitted.has(create(tmp_path / "again", {}), "scales")
