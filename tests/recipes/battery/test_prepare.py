"""Laws of preparation: the format is found or named, the store is reused or explained, odd rows are reported."""

import numpy as np
import polars as pl
import pytest

from homeostat.errors import DataError
from homeostat.recipes.battery.prepare import Preparation, blueprint, detect
from homeostat.recipes.battery.readers.tidy import Columns
from homeostat.recipes.battery.simulate import simulate

TIDY = Preparation(columns=Columns(time="time_days"))


def prepare(raw, stores, options=None):
    return blueprint(raw, options or Preparation()).build(stores)


@pytest.fixture
def simulated(tmp_path):
    simulate(tmp_path / "raw", 0, cells=6)
    return tmp_path / "raw"


def test_a_tidy_file_becomes_one_series_per_cell(simulated, tmp_path):
    store = prepare(simulated, tmp_path / "stores", TIDY)
    frame = pl.read_csv(simulated / "cells.csv")
    assert store["cell"].tolist() == [f"S{number:03d}" for number in range(6)]
    for number, cell in enumerate(store["cell"]):
        rows = frame.filter(pl.col("cell") == cell)
        assert store.ragged("time")[number].tolist() == rows["time_days"].to_list()
        np.testing.assert_allclose(store.ragged("target")[number], rows["soh"], rtol=1e-6)
    assert store.meta["input_names"] == ["temperature_c", "resistance_ohm", "throughput_ah"]
    assert store.report() == ()


def test_one_changed_byte_is_explained_and_prepared_again(simulated, tmp_path):
    assert prepare(simulated, tmp_path / "stores", TIDY).explanation[0].startswith("No battery-tidy store")
    assert blueprint(simulated, TIDY).explain(tmp_path / "stores").reused
    text = (simulated / "cells.csv").read_text()
    (simulated / "cells.csv").write_text(text.replace("S000,0.0,1.0", "S000,0.0,0.9", 1))
    explanation = blueprint(simulated, TIDY).explain(tmp_path / "stores")
    assert explanation.sentences[0] == "Not reused: raw file cells.csv differs."
    assert prepare(simulated, tmp_path / "stores", TIDY).ragged("target")[0][0] < 0.91


def test_a_nan_in_the_raw_data_is_reported_with_its_row(simulated, tmp_path):
    frame = pl.read_csv(simulated / "cells.csv")
    soh = frame["soh"].to_list()
    soh[6] = float("nan")
    frame.with_columns(soh=pl.Series(soh)).write_csv(simulated / "cells.csv")
    store = prepare(simulated, tmp_path / "stores", TIDY)
    assert store.report() == ("1 row of cells.csv without a number in 'soh' (row 7), dropped",)
    assert len(store["target"]) == len(frame) - 1


def test_a_column_that_is_called_otherwise_is_asked_for_by_its_flag(simulated, tmp_path):
    with pytest.raises(DataError, match=r"no column 'time'\. Did you mean 'time_days'\? .* with --time\."):
        prepare(simulated, tmp_path / "stores")
    with pytest.raises(DataError, match=r"no column 'health'.* with --target\."):
        prepare(
            simulated, tmp_path / "stores", Preparation(columns=Columns(time="time_days", target="health"))
        )


def test_a_disguised_input_is_left_out_unless_asked_for(simulated, tmp_path):
    frame = pl.read_csv(simulated / "cells.csv").with_columns(discharge_s=pl.col("soh") * 3600)
    frame.write_csv(simulated / "cells.csv")
    store = prepare(simulated, tmp_path / "stores", TIDY)
    assert "discharge_s" not in store.meta["input_names"]
    assert store["inputs"].shape[1] == 3
    (sentence,) = store.report()
    assert sentence.startswith(
        "1 input left out. Input discharge_s orders the steps of 6 of 6 cells as soh does"
    )
    kept = prepare(simulated, tmp_path / "stores", Preparation(columns=TIDY.columns, keep_disguised=True))
    assert "discharge_s" in kept.meta["input_names"]
    assert kept.explanation[0] == "Not reused: parameter keep_disguised: False became True."


def test_a_time_that_falls_is_refused(simulated, tmp_path):
    pl.read_csv(simulated / "cells.csv").reverse().write_csv(simulated / "cells.csv")
    with pytest.raises(DataError, match="The time of cell S000 falls from .* days at its step 2"):
        prepare(simulated, tmp_path / "stores", TIDY)


def test_text_columns_are_not_taken_for_inputs(simulated, tmp_path):
    frame = pl.read_csv(simulated / "cells.csv").with_columns(operator=pl.lit("ann"))
    frame.write_csv(simulated / "cells.csv")
    store = prepare(simulated, tmp_path / "stores", TIDY)
    assert store.meta["input_names"] == ["temperature_c", "resistance_ohm", "throughput_ah"]
    assert store.report() == ("1 column of cells.csv without any number, left out of the inputs: operator",)


def test_the_target_cannot_be_a_feature(simulated, tmp_path):
    columns = Columns(time="time_days", features=("soh",))
    with pytest.raises(DataError, match="'soh' is also named as a feature"):
        prepare(simulated, tmp_path / "stores", Preparation(columns=columns))
    with pytest.raises(DataError, match=r"no column 'time'\. Did you mean 'time_days'"):
        prepare(simulated, tmp_path / "stores")


@pytest.mark.parametrize("name", ["nasa", "severson"])
def test_the_format_is_found_by_its_files(shared_data, tmp_path, name):
    folder = shared_data / "battery" / name
    assert detect(folder) == name
    store = prepare(folder, tmp_path)
    assert store.meta["source"] == name
    assert len(store.ragged("target")) == len(store["cell"])
    assert prepare(folder, tmp_path).explanation[0].startswith("Reused")
    assert not [sentence for sentence in store.report() if "disguise" in sentence]


def test_a_folder_without_battery_data_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"No battery data in .*cycle_summary\.parquet \(nasa\)"):
        prepare(tmp_path, tmp_path / "stores")
    with pytest.raises(DataError, match=r"lacks cycle_summary\.parquet"):
        prepare(tmp_path, tmp_path / "stores", Preparation(source="nasa"))
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("cell,time,soh\nx,0,1\n")
    with pytest.raises(DataError, match="holds 2 tables"):
        prepare(tmp_path, tmp_path / "stores")
