"""The examples of docs/data.md do what the page says."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from homeostat.recipes import find

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def example(first_line: str) -> str:
    blocks = PAGE.read_text(encoding="utf-8").split("```")[1::2]
    (example_block,) = [block for block in blocks if block.split("\n")[1].startswith(first_line)]
    return example_block.split("\n", 1)[1]


@pytest.mark.parametrize(
    ("first_line", "name", "column", "names"),
    [("cell,", "battery", "cell", ["A1", "B2"]), ("stay,", "icu", "stay", ["30000153"])],
)
def test_tidy_files_are_read_as_shown(tmp_path, first_line, name, column, names):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "example.csv").write_text(example(first_line))
    recipe = find(name)
    store = recipe.prepare(recipe.config(), tmp_path / "raw", tmp_path / "stores")
    assert store[column].tolist() == names
    assert store.report() == ()


def test_a_store_of_ones_own(tmp_path):
    given = {
        "folder": tmp_path / "stores",
        "files": [PAGE],
        "ages": np.array([50.0, 61.0]),
        "series": [np.arange(3.0), np.arange(2.0)],
        "rows": np.array([1]),
    }
    # `inspect` needs a file to read the function's source from.
    script = tmp_path / "own.py"
    script.write_text(example("from homeostat.data.ragged"))
    names = runpy.run_path(str(script), init_globals=given)
    assert names["store"].report() == ("3 rows without a name, dropped",)
