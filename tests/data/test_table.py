"""Laws of tables: declared columns only, finite numbers only, and every unusable row is counted and named."""

import polars as pl
import pytest

from homeostat.data.table import Column, read_table
from homeostat.errors import DataError

COLUMNS = [
    Column(name="cell", kind="text"),
    Column(name="capacity"),
    Column(name="resistance", required=False),
]
ROWS = {
    "cell": ["a", "a", "b", "", "b"],
    "capacity": ["1.0", "NaN", "oops", "2", "0.5"],
    "resistance": ["0.1", "0.1", "0.1", "0.1", "inf"],
    "comment": ["x"] * 5,
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_unusable_rows_are_named_and_the_rest_is_kept(tmp_path, suffix):
    path = tmp_path / f"cells{suffix}"
    frame = pl.DataFrame(ROWS)
    if suffix == ".parquet":
        frame.with_columns(pl.col("capacity").cast(pl.Float64, strict=False)).write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if suffix == ".tsv" else ",")
    table = read_table(path, COLUMNS)
    assert table.frame.to_dicts() == [
        {"row": 1, "cell": "a", "capacity": 1.0, "resistance": 0.1},
        {"row": 5, "cell": "b", "capacity": 0.5, "resistance": None},
    ]
    assert table.counts == {
        f"row of {path.name} without a text in 'cell' (row 4), dropped": 1,
        f"rows of {path.name} without a number in 'capacity' (the first is row 2), dropped": 2,
        f"row of {path.name} without a number in 'resistance' (row 5), kept as missing": 1,
    }


def test_a_missing_column_is_answered_with_the_nearest(tmp_path):
    pl.DataFrame(ROWS).write_csv(tmp_path / "cells.csv")
    with pytest.raises(DataError, match=r"has no column 'capacty'\. Did you mean 'capacity'\?"):
        read_table(tmp_path / "cells.csv", [Column(name="capacty")])


def test_files_that_are_no_tables_are_refused(tmp_path):
    (tmp_path / "cells.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"is not one of \.csv, \.tsv, \.parquet"):
        read_table(tmp_path / "cells.xlsx", COLUMNS)
    with pytest.raises(DataError, match="There is no file"):
        read_table(tmp_path / "gone.csv", COLUMNS)
    (tmp_path / "cells.parquet").write_bytes(b"PAR1 this is not parquet")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_table(tmp_path / "cells.parquet", COLUMNS)
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as csv"):
        read_table(tmp_path / "empty.csv", COLUMNS)
