"""The example of docs/battery.md does what the page says."""

from __future__ import annotations

import runpy
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "battery.md"


def test_the_model_works_as_shown(tmp_path):
    rest = PAGE.read_text(encoding="utf-8").split("```python\n")[1]
    script = tmp_path / "example.py"
    script.write_text(rest.split("```")[0])
    assert tuple(runpy.run_path(str(script))["health"].shape) == (4, 20, 1)
