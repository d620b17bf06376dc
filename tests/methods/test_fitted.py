"""Laws of fitted state: a value is read back, and a changed file is named. Stops are in tests/run/test_sealed.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.errors import RunError
from homeostat.methods import fitted
from homeostat.run import Run, create


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
