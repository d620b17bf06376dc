"""Laws of the tidy table: it says the same as the challenge's layout, and contradictions are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from homeostat.data.splits import by_subject
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.recipes.icu.prepare import Preparation, blueprint
from homeostat.recipes.icu.simulate import simulate
from homeostat.recipes.icu.tidy import Columns

ROWS = [
    ("s1", "p1", 0.0, "Age", 61.0, 0),
    ("s1", "p1", 0.5, "HR", 104.0, 0),
    ("s1", "p1", 0.5, "Lactate", 2.1, 0),
    ("s1", "p1", 30.0, "HR", 90.0, 0),
    ("s2", "p1", 1.0, "HR", 110.0, 1),
    ("s2", "p1", 2.0, "Phosphate", 1.1, 1),
    ("s3", "p2", 2.0, "Age", 40.0, None),
]
UNKNOWN = "1 variables without a known unit and range, taken as they are: Phosphate"
NAMES = ["stay", "subject", "time_h", "variable", "value", "outcome"]


def prepare(raw: Path, stores: Path, **options: Any) -> Store:
    return blueprint(raw, Preparation(**options)).build(stores)


def write(folder, rows=ROWS, suffix=".csv"):
    folder.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(rows, schema=NAMES, orient="row", strict=False)
    path = folder / f"stays{suffix}"
    frame.write_parquet(path) if suffix == ".parquet" else frame.write_csv(path)
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_become_stays(tmp_path, suffix):
    store = prepare(write(tmp_path / "raw", suffix=suffix), tmp_path / "stores")
    assert store["stay"].tolist() == ["s1", "s2", "s3"]
    assert store["subject"].tolist() == ["p1", "p1", "p2"]
    np.testing.assert_array_equal(store["label"], [0, 1, np.nan])
    assert store.meta["variables"] == ["HR", "Lactate", "Phosphate"]
    assert store.ragged("time_h")[0].tolist() == [0.5, 30]
    assert store.ragged("step")[0].tolist() == [0, 0, 1]
    assert store.ragged("variable")[0].tolist() == [0, 1, 0]
    assert store.ragged("value")[0].tolist() == pytest.approx([104, 2.1, 90])
    np.testing.assert_array_equal(store["static"][:, 0], [61, np.nan, 40])
    assert store.report() == ("1 stays without any series, kept", UNKNOWN)


def test_stays_of_a_subject_stay_together(tmp_path):
    store = prepare(write(tmp_path / "raw"), tmp_path / "stores")
    splits = by_subject(
        store["stay"].tolist(),
        store["subject"].tolist(),
        seed=0,
        fingerprint=store.fingerprint,
        fractions=(0.5, 0.0, 0.5),
    )
    assert sorted(map(len, (splits.train, splits.valid, splits.test))) == [0, 1, 2]


def test_the_same_stays_in_both_layouts_give_the_same_arrays(tmp_path):
    simulate(tmp_path / "raw", 0, stays={"a": 8})
    one = prepare(tmp_path / "raw", tmp_path / "stores")
    rows = []
    for path in sorted((tmp_path / "raw" / "set-a").glob("*.txt")):
        frame = pl.read_csv(path)
        for time, name, value in frame.filter(pl.col("Parameter") != "RecordID").rows():
            hours, minutes = time.split(":")
            rows.append((path.stem, path.stem, int(hours) + int(minutes) / 60, name, float(value), None))
    series = tuple(name for name in one.meta["variables"] if name != "Weight")
    columns = Columns(static=tuple(one.meta["static_names"]), variables=series)
    two = prepare(write(tmp_path / "tidy", rows), tmp_path / "stores", columns=columns)
    names = np.array(two.meta["variables"])[two["variable"]]
    assert (names == np.array(one.meta["variables"])[one["variable"]]).all()
    for name in ("time_h", "step", "value", "static"):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6)


def test_unusable_rows_are_counted(tmp_path):
    rows = [
        *ROWS,
        ("s1", "p1", -1.0, "HR", 90.0, 0),
        ("s1", "p1", 3.0, "HR", None, 0),
        ("s1", "p1", 4.0, "HR", 999.0, 0),
    ]
    store = prepare(write(tmp_path / "raw", rows), tmp_path / "stores")
    assert set(store.report()) == {
        "1 row of stays.csv without a number in 'value' (row 9), dropped",
        "1 rows before admission, dropped",
        "1 values of HR outside 10 to 300, clipped",
        "1 stays without any series, kept",
        UNKNOWN,
    }


def test_variables_can_be_chosen_so_that_a_model_finds_its_own(tmp_path):
    columns = Columns(variables=("Lactate", "HR", "pH"))
    store = prepare(write(tmp_path / "raw"), tmp_path / "stores", columns=columns)
    assert store.meta["variables"] == ["Lactate", "HR", "pH"]
    assert store.ragged("variable")[0].tolist() == [0, 1, 1]
    assert "1 rows of variables that are not kept, dropped" in store.report()


def test_subject_and_outcome_may_be_absent(tmp_path):
    (tmp_path / "raw").mkdir()
    pl.DataFrame(ROWS, schema=NAMES, orient="row").drop("subject", "outcome").write_csv(
        tmp_path / "raw" / "x.csv"
    )
    store = prepare(tmp_path / "raw", tmp_path / "stores")
    assert store["subject"].tolist() == store["stay"].tolist()
    assert np.isnan(store["label"]).all()


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (("s1", "p2", 1.0, "HR", 90.0, 0), "Stay s1 belongs to subjects p1 and p2"),
        (("s1", "p1", 1.0, "HR", 90.0, 1), "Stay s1 has the outcome 0, 1; expected 0 or 1, the same"),
        (("s4", "p4", 1.0, "HR", 90.0, 3), "Stay s4 has the outcome 3; expected 0 or 1"),
        (("s4", "p4", 1e9, "HR", 90.0, 0), "expected hours since admission, at most"),
    ],
)
def test_contradictions_are_refused(tmp_path, row, sentence):
    with pytest.raises(DataError, match=sentence):
        prepare(write(tmp_path / "raw", [*ROWS, row]), tmp_path / "stores")
