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
UNLABELLED = "1 stays without an outcome, kept"
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
    assert set(store.report()) == {"1 stays without any series, kept", UNKNOWN, UNLABELLED}


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
        UNLABELLED,
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


def table(folder: Path, **columns: list[Any]) -> Path:
    """A table of two stays with a pulse each hour; columns may be replaced or added."""
    usual = {
        "stay": ["s1", "s1", "s1", "s2", "s2", "s2"],
        "time_h": [0, 1, 2.5, 0, 1, 2.5],
        "variable": ["HR"] * 6,
        "value": [70, 80, 90, 75, 85, 95],
    }
    folder.mkdir(parents=True)
    pl.DataFrame(usual | columns, strict=False).write_parquet(folder / "stays.parquet")
    return folder


MOMENTS = [f"2026-11-21T{clock}" for clock in ("09:30", "10:30", "12:00")]


@pytest.mark.parametrize(
    ("times", "fields"),
    [
        ([0, 1, 2.5], {}),
        (["00:00", "01:00", "02:30"], {}),
        (MOMENTS, {}),
        ([f"{moment}:00+01:00" for moment in MOMENTS], {}),
        ([0, 60, 150], {"time_unit": "minutes"}),
        ([0, 3600, 9000], {"time_unit": "seconds"}),
        ([0, 1 / 24, 2.5 / 24], {"time_unit": "days"}),
    ],
)
def test_hours_are_hours_in_every_way_of_writing_them(tmp_path, times, fields):
    raw = table(tmp_path / "raw", time_h=times * 2)
    store = prepare(raw, tmp_path / "stores", columns=Columns(**fields))
    for row in (0, 1):
        np.testing.assert_allclose(store.ragged("time_h")[row], [0, 1, 2.5], rtol=1e-4)
    zero = "2 stays whose hours count from their first row (name the admission with --admission)"
    assert (zero in store.report()) == (times[0] == MOMENTS[0] or "+01:00" in str(times[0]))


def test_date_times_count_from_admission_where_it_is_known(tmp_path):
    admission = ["2026-11-21T08:00"] * 3 + ["2026-11-21T10:00"] * 3
    raw = table(tmp_path / "raw", time_h=MOMENTS * 2, admission=admission)
    store = prepare(raw, tmp_path / "stores")
    np.testing.assert_allclose(store.ragged("time_h")[0], [1.5, 2.5, 4])
    np.testing.assert_allclose(store.ragged("time_h")[1], [0.5, 2])
    assert "2 stays whose hours count from 'admission'" in store.report()
    assert "1 rows before admission, dropped" in store.report()
    two = table(tmp_path / "two", time_h=MOMENTS * 2, admission=[*admission[:5], "2026-11-20T10:00"])
    with pytest.raises(DataError, match="Stay s2 has two admissions"):
        prepare(two, tmp_path / "stores")


def test_minutes_that_are_given_as_hours_stop(tmp_path):
    raw = table(tmp_path / "raw", time_h=[0, 60, 2880] * 2)
    sentence = r"longer than 2,880 hours \(120 days\).*look like minutes: convert with --time-unit minutes"
    with pytest.raises(DataError, match=sentence):
        prepare(raw, tmp_path / "stores")
    vouched = prepare(raw, tmp_path / "stores", columns=Columns(time_unit="hours"))
    assert vouched.ragged("time_h")[0][-1] == 2880
    with pytest.raises(DataError, match="look like seconds"):
        prepare(table(tmp_path / "s", time_h=[0, 60, 172800] * 2), tmp_path / "stores")


ANSWERS = [("yes", "no"), ("TRUE", "False"), ("dead", "alive"), ("Died ", "survived"), ("1.0", "0"), (1, 0)]


@pytest.mark.parametrize(("died", "lived"), [*ANSWERS, (True, False), ("Expired", "Discharged  alive")])
def test_an_outcome_is_read_as_people_write_it_and_told(tmp_path, died, lived):
    raw = table(tmp_path / "raw", outcome=[died] * 3 + [lived] * 3)
    store = prepare(raw, tmp_path / "stores")
    assert store["label"].tolist() == [1, 0]
    words = [sentence for sentence in store.report() if "read as 1 (died)" in sentence]
    assert len(words) == (isinstance(died, (str, bool)) and died != "1.0")


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        (
            "outcome",
            ["maybe"] * 3 + ["no"] * 3,
            "'outcome' of .* holds 'maybe' in 3 rows; expected 0 or 1, yes or no",
        ),
        ("outcome", ["transferred"] * 6, "holds 'transferred' in 6 rows"),
        ("survived", ["yes"] * 3 + ["no"] * 3, "'survived' of .* says who lived; expected who died"),
        ("alive", [1, 1, 1, 0, 0, 0], "'alive' of .* says who lived"),
        ("outcome", ["yes", "no", "no", "no", "no", "no"], "Stay s1 has the outcome 0, 1"),
    ],
)
def test_an_outcome_that_is_no_answer_is_refused(tmp_path, column, values, sentence):
    raw = table(tmp_path / "raw", **{column: values})
    with pytest.raises(DataError, match=sentence):
        prepare(raw, tmp_path / "stores", columns=Columns(outcome=column))


def test_names_and_columns_are_found_in_another_case(tmp_path):
    """Names that differ in case, blanks or look-alike letters are one variable; each reading is told."""
    raw = tmp_path / "raw"
    raw.mkdir()
    names = ["HR", "hr ", "Н\u200bR", "gender", "Foo", "foo"]
    values = ["70", "80", "90", "F", "1", "2"]
    held = {"Stay": ["s1"] * 6, "Time_h": range(6), "Variable": names, "Value": values, "OUTCOME": [1] * 6}
    pl.DataFrame(held).write_parquet(raw / "x.parquet")
    store = prepare(raw, tmp_path / "stores")
    assert store.meta["variables"] == ["HR", "Foo", "foo"]
    assert store.ragged("value")[0].tolist() == [70, 80, 90, 1, 2]
    assert store["static"][0, 1] == 0
    assert store["label"].tolist() == [1]
    report = "\n".join(store.report())
    for sentence in (
        "column of x.parquet read as 'outcome': 'OUTCOME'",
        "rows of 'hr ' read as HR",
        "rows of 'Н\\u200bR' read as HR",
        "names that look alike and are kept apart: 'Foo', 'foo'",
    ):
        assert sentence in report


def test_exact_copies_of_rows_are_counted(tmp_path):
    store = prepare(write(tmp_path / "raw", [*ROWS, ROWS[1], ROWS[1]]), tmp_path / "stores")
    assert "2 rows that are exact copies of another, averaged with it" in store.report()
    assert store.ragged("value")[0].tolist() == pytest.approx([104, 2.1, 90])
