"""The raw data of the smallest recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

import curve


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    curve.simulate(folder, 0)
    return folder
