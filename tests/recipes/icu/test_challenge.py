"""Laws of the challenge's reader: it reads what a plain loop reads, and no odd row is fatal or silently lost."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.recipes.icu import challenge
from homeostat.recipes.icu.prepare import Preparation, blueprint
from homeostat.recipes.icu.simulate import simulate
from homeostat.recipes.icu.variables import SERIES

HEAD = "Time,Parameter,Value\n00:00,RecordID,{record}\n00:00,Age,54\n00:00,Gender,0\n00:00,Height,-1\n"
HEAD += "00:00,ICUType,4\n00:00,Weight,80\n"
OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


def prepare(raw: Path, stores: Path, **options: Any) -> Store:
    return blueprint(raw, Preparation(**options)).build(stores)


def write_stay(folder: Path, record: int, rows: str = "", *, head: str = HEAD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record}.txt"
    path.write_text(head.format(record=record) + rows)
    return path


def plain_loop(path: Path) -> dict[tuple[float, str], float]:
    """The series of one file as a beginner would read them; values of one minute are averaged."""
    held: dict[tuple[float, str], list[float]] = {}
    weighed = False
    with path.open() as stream:
        for row in csv.DictReader(stream):
            hours, minutes = row["Time"].split(":")
            name, value = row["Parameter"], float(row["Value"])
            first_weight = name == "Weight" and row["Time"] == "00:00" and not weighed
            weighed |= first_weight
            if name in SERIES and not first_weight and value != -1:
                low, high = SERIES[name].low, SERIES[name].high
                held.setdefault((int(hours) + int(minutes) / 60, name), []).append(min(max(value, low), high))
    return {key: float(np.mean(values)) for key, values in held.items()}


def observations(store, row: int) -> dict[tuple[float, str], float]:
    time = store.ragged("time_h")[row][store.ragged("step")[row]]
    names = [store.meta["variables"][code] for code in store.ragged("variable")[row]]
    keys = zip(time.round(6).tolist(), names, strict=True)
    return dict(zip(keys, store.ragged("value")[row].tolist(), strict=True))


def assert_same(store, row: int, path: Path) -> None:
    observed, expected = observations(store, row), plain_loop(path)
    assert sorted((round(hour, 3), name) for hour, name in observed) == sorted(
        (round(hour, 3), name) for hour, name in expected
    )
    by_minute = {(round(hour, 3), name): value for (hour, name), value in expected.items()}
    for (hour, name), value in observed.items():
        assert value == pytest.approx(by_minute[round(hour, 3), name], rel=1e-5, abs=1e-6)


def test_simulated_stays_are_read_as_a_plain_loop_reads_them(tmp_path):
    simulate(tmp_path / "raw", 0, stays={"a": 12, "b": 6})
    store = prepare(tmp_path / "raw", tmp_path / "stores")
    paths = sorted((tmp_path / "raw").glob("set-*/*.txt"))
    assert store["stay"].tolist() == [path.stem for path in paths]
    assert store["group"].tolist() == ["a"] * 12 + ["b"] * 6
    for row, path in enumerate(paths):
        assert_same(store, row, path)


def test_real_stays_are_read_as_a_plain_loop_reads_them(shared_data, tmp_path):
    raw = shared_data / "physionet2012"
    for group in "ab":
        (tmp_path / f"set-{group}").mkdir()
        for path in sorted((raw / f"set-{group}").glob("*.txt"))[:150]:
            shutil.copy(path, tmp_path / f"set-{group}")
        (tmp_path / f"Outcomes-{group}.txt").write_bytes((raw / f"Outcomes-{group}.txt").read_bytes())
    store = prepare(tmp_path, tmp_path / "stores")
    for row in range(0, 300, 7):
        path = tmp_path / f"set-{store['group'][row]}" / f"{store['stay'][row]}.txt"
        assert_same(store, row, path)
    assert "7,700 outcomes without a stay, dropped" in store.report()


def test_the_whole_data_set(shared_data, tmp_path):
    store = prepare(shared_data / "physionet2012", tmp_path)
    label, group = store["label"], store["group"]
    assert len(label) == 8000
    assert [int(label[group == name].sum()) for name in "ab"] == [554, 568]
    assert len(store["value"]) == 3_464_811
    report = store.report()
    assert "15 values of pH outside 6.5 to 8, clipped" in report
    assert "10 stays without any series, kept" in report
    assert "20 stays with Height on admission outside 100 to 230, clipped" in report
    assert store["static"].shape == (8000, 5)
    assert int(np.isnan(store["static"][:, store.meta["static_names"].index("Height")]).sum()) == 3824
    assert store.ragged("time_h").lengths.max() > 150
    assert np.isfinite(store["value"]).all()


def test_descriptors_are_read_and_minus_one_is_missing(tmp_path):
    write_stay(tmp_path / "set-a", 1, "00:00,Weight,81\n00:30,Weight,82\n00:30,HR,-1\n00:31,HR,70\n")
    store = prepare(tmp_path, tmp_path / "stores")
    assert dict(zip(store.meta["static_names"], store["static"][0].tolist(), strict=True)) == pytest.approx(
        {"Age": 54, "Gender": 0, "Height": np.nan, "ICUType": 4, "Weight": 80}, nan_ok=True
    )
    seen = {(round(hour, 2), name): value for (hour, name), value in observations(store, 0).items()}
    assert seen == {(0.0, "Weight"): 81, (0.5, "Weight"): 82, (0.52, "HR"): 70}
    assert store.report() == ("1 values of -1 or not a number, which stand for missing, dropped",)


def test_odd_rows_are_counted_by_reason_and_never_fatal(tmp_path):
    odd = "01:00,,5\n01:00,HR,70\n01:00,Hartrate,70\nnoon,HR,70\n01:99,HR,70\n02:00,HR,high\n02:00,HR\n"
    odd += "03:00,HR,70,again\n\n00:00,Age,99\n00:00,RecordID,2\n04:00,HR,71"
    write_stay(tmp_path / "set-a", 1, odd)
    write_stay(tmp_path / "set-a", 2, "05:00,HR,72\n")
    (tmp_path / "set-a" / "3.txt").write_bytes(b"")
    write_stay(tmp_path / "set-a", 4, "05:00,HR,73\n05:00,Hÿ,73\n")
    (tmp_path / "set-a" / "5.txt").write_bytes(
        HEAD.format(record=5).encode() + b"05:00,T\xe9mp,37\r\n06:00,HR,74\r\n"
    )
    (tmp_path / "set-a" / "notes.txt").write_text("not a stay")
    store = prepare(tmp_path, tmp_path / "stores")
    assert store["stay"].tolist() == ["1", "2", "3", "4", "5"]
    hearts = [list(observations(store, row).values()) for row in range(5)]
    assert hearts == [[70, 71], [72], [], [73], [74]]
    assert set(store.report()) == {
        "1 rows with more than three fields, dropped",
        "1 rows with an empty parameter name, dropped",
        "3 rows with an unknown parameter, dropped",
        "2 rows with a time that is not HH:MM, dropped",
        "2 rows with a value that is not a number, dropped",
        "1 rows with the record number of another file, dropped",
        "1 rows that repeat age, gender, height or unit type, dropped",
        "1 stays without any series, kept",
    }


def test_several_values_in_a_minute_are_averaged_and_counted(tmp_path):
    write_stay(tmp_path / "set-a", 1, "01:00,HR,70\n01:00,Temp,37\n01:00,HR,80\n")
    store = prepare(tmp_path, tmp_path / "stores")
    assert observations(store, 0) == {(1.0, "HR"): 75, (1.0, "Temp"): 37}
    assert store.report() == ("1 values that share a moment with another of their variable, averaged",)


def test_rows_out_of_order_give_the_same_stay(tmp_path):
    rows = [
        f"{hour:02d}:{minute:02d},{name},{limits.low + hour * (limits.high - limits.low) / 10:g}\n"
        for hour in range(5)
        for minute in (0, 9)
        for name, limits in SERIES.items()
    ]
    write_stay(tmp_path / "one" / "set-a", 1, "".join(rows))
    write_stay(tmp_path / "two" / "set-a", 1, "".join(np.random.default_rng(0).permutation(rows)))
    one, two = (prepare(tmp_path / name, tmp_path / "stores" / name) for name in ("one", "two"))
    # Which of the weights at 00:00 comes first is up to the file, so it is left out here.
    for name in ("time_h", "step", "variable", "value"):
        np.testing.assert_array_equal(one[name], two[name])


def test_impossible_values_can_be_dropped_instead(tmp_path):
    write_stay(tmp_path / "set-a", 1, "01:00,pH,735\n02:00,pH,7.4\n02:00,Temp,-17.8\n")
    clipped = prepare(tmp_path, tmp_path / "stores")
    dropped = prepare(tmp_path, tmp_path / "stores", impossible="drop")
    assert list(observations(clipped, 0).values()) == pytest.approx([8, 25, 7.4])
    assert list(observations(dropped, 0).values()) == pytest.approx([7.4])
    assert "1 values of pH outside 6.5 to 8, dropped" in dropped.report()
    assert dropped.explanation[0] == "Not reused: parameter impossible: 'clip' became 'drop'."


def test_outcomes_may_be_absent_or_partial(tmp_path):
    for record in (1, 2, 3):
        write_stay(tmp_path / "new", record, "01:00,HR,70\n")
    store = prepare(tmp_path / "new", tmp_path / "stores")
    assert store["stay"].tolist() == ["1", "2", "3"]
    assert np.isnan(store["label"]).all()
    assert store["group"].tolist() == [""] * 3
    (tmp_path / "new" / "Outcomes-x.txt").write_text(OUTCOMES + "1,6,1,5,-1,0\n2,6,1,5,3,1\n9,6,1,5,3,1\n")
    store = prepare(tmp_path / "new", tmp_path / "stores")
    np.testing.assert_array_equal(store["label"], [0, 1, np.nan])
    np.testing.assert_array_equal(store["survival_days"], [np.nan, 3, np.nan])
    assert set(store.report()) == {"1 outcomes without a stay, dropped", "1 stays without an outcome, kept"}


def test_contradictions_are_refused(tmp_path):
    write_stay(tmp_path / "set-a", 1)
    (tmp_path / "Outcomes-a.txt").write_text(OUTCOMES + "1,6,1,5,-1,7\n")
    with pytest.raises(DataError, match="Stay 1 has In-hospital_death 7; expected 0 or 1"):
        prepare(tmp_path, tmp_path / "stores")
    write_stay(tmp_path / "set-b", 1)
    with pytest.raises(DataError, match="Stay 1 is in two folders"):
        prepare(tmp_path, tmp_path / "stores")
    with pytest.raises(DataError, match=r"expected files such as set-a/132539\.txt"):
        challenge.read(challenge.Layout((), (), ()))
