"""A run to try things on."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.run import Run, create


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create(tmp_path / "run", {"recipe": "none"})
