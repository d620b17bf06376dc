"""Laws of the LG M50T reader: a cell gets its own targets, and units come from declared names alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.errors import DataError
from homeostat.evaluate.predictions import read
from homeostat.recipes.battery.config import smoke
from homeostat.recipes.battery.readers import lgm50t
from homeostat.recipes.battery.recipe import recipe

CELSIUS = {"A": 10, "B": 10, "C": 10, "D": 25, "E": 25, "F": 40, "G": 40, "H": 40}


def write_cell(
    folder: Path, cell: str, *, unit: str = "mA h", rows: int = 12, seed: int = 0, **extra
) -> Path:
    """One performance summary as the data set has it; capacity and throughput differ between cells."""
    draw = np.random.default_rng([seed, ord(cell)])
    health = 1 - np.cumsum(draw.uniform(0.005, 0.02, rows)) + 0.005
    scale = {"mA h": 1000.0, "A h": 1.0}[unit]
    columns = {
        "": np.arange(rows),
        "Cumulative Charge Throughput [A h]": np.linspace(0, 150 + ord(cell), rows),
        "Cumulative Discharge Throughput [A h]": np.linspace(0, 140 + ord(cell), rows),
        "0.1s Resistance [Ohms]": 0.02 + 0.01 * (1 - health),
        "10s Resistance [Ohms]": 0.03 + 0.02 * (1 - health),
        f"Cell Capacity [{unit}]": 4.9 * scale * health,
        "LAM PE": draw.uniform(0, 0.1, rows),
        "LLI": draw.uniform(0, 0.1, rows),
    } | extra
    place = folder / "Expt 5 - Standard Cycle Aging (Control)" / "Summary Data" / "Performance Summary"
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"Expt 5 - cell {cell} ({CELSIUS[cell]}degC) - Processed Data.csv"
    pl.DataFrame(columns).write_csv(path)
    return path


@pytest.fixture
def folder(tmp_path):
    for number, cell in enumerate(CELSIUS):
        write_cell(tmp_path, cell, rows=10 + number)
    (tmp_path / "notes.csv").write_text("not,a,cell\n")
    return tmp_path


def test_each_cell_has_its_own_targets_and_temperature(folder):
    cohort = lgm50t.read(folder)
    assert cohort.cells == tuple(f"5-{cell}" for cell in CELSIUS)
    assert cohort.steps.tolist() == list(range(10, 18))
    assert cohort.arrays["ambient_c"].tolist() == list(CELSIUS.values())
    ends = np.cumsum(cohort.steps)
    for number, path in enumerate(lgm50t.raw_files(folder)):
        own = pl.read_csv(path)["Cell Capacity [mA h]"].to_numpy()
        span = slice(ends[number] - cohort.steps[number], ends[number])
        np.testing.assert_allclose(cohort.target[span], own / own[0])
        np.testing.assert_allclose(cohort.arrays["capacity_ah"][span], own / 1000)
        kelvin = cohort.inputs[span, cohort.input_names.index("temperature_k")]
        assert (kelvin == cohort.arrays["ambient_c"][number] + 273.15).all()


def test_throughput_keeps_its_unit_whatever_its_size(folder):
    """Values above 100 A h are not taken for mA h: only the brackets decide."""
    cohort = lgm50t.read(folder)
    throughput = cohort.inputs[:, cohort.input_names.index("charge_throughput_ah")]
    assert throughput.max() == 150 + ord("H")


def test_the_same_cell_in_another_unit_is_the_same_cell(tmp_path):
    for unit in ("mA h", "A h"):
        write_cell(tmp_path / unit, "A", unit=unit)
    first, second = (lgm50t.read(tmp_path / unit) for unit in ("mA h", "A h"))
    np.testing.assert_allclose(first.arrays["capacity_ah"], second.arrays["capacity_ah"])
    np.testing.assert_allclose(first.target, second.target)


def test_an_unknown_or_missing_unit_is_refused(tmp_path):
    path = write_cell(tmp_path, "A")
    text = path.read_text()
    path.write_text(text.replace("Cell Capacity [mA h]", "Cell Capacity [C]"))
    with pytest.raises(
        DataError, match=r"declares the unit \[C\]; expected one of \[A h\], \[Ah\], \[mA h\], \[mAh\]"
    ):
        lgm50t.read(tmp_path)
    path.write_text(text.replace("Cell Capacity [mA h]", "Cell Capacity"))
    with pytest.raises(DataError, match="declares no unit"):
        lgm50t.read(tmp_path)
    path.write_text(text.replace("Cell Capacity [mA h]", "Kapazität"))
    with pytest.raises(DataError, match="has none of the columns Cell Capacity"):
        lgm50t.read(tmp_path)


def test_degradation_modes_are_never_inputs(folder):
    cohort = lgm50t.read(folder)
    assert cohort.meta["mode_names"] == ["LAM PE", "LLI"]
    assert cohort.arrays["modes"].shape == (sum(cohort.steps), 2)
    assert not [name for name in cohort.input_names if "L" in name]


def test_days_are_the_time_when_they_are_there(tmp_path):
    write_cell(tmp_path, "A", **{"Days of degradation": np.linspace(0, 300, 12)})
    assert (lgm50t.read(tmp_path).time_unit, lgm50t.read(tmp_path).time[-1]) == ("days", 300)


def test_rows_without_capacity_are_counted(tmp_path):
    path = write_cell(tmp_path, "A")
    lines = path.read_text().splitlines()
    cut = lines[3].split(",")
    cut[5] = ""
    path.write_text("\n".join([*lines[:3], ",".join(cut), *lines[4:]]))
    cohort = lgm50t.read(tmp_path)
    assert cohort.steps.tolist() == [11]
    assert cohort.counts == {
        f"row of {path.name} without a number in 'Cell Capacity [mA h]' (row 3), dropped": 1
    }


def test_the_recipe_learns_from_it(folder, new_run, tmp_path):
    config = replace(smoke(), cells=("5-A", "5-D", "5-F"), yardsticks=False)
    run = new_run(tmp_path / "run", config)
    recipe.train(config, run, recipe.prepare(config, folder, tmp_path / "stores"))
    assert set(read(run.predictions / "test.parquet").subjects) == set(config.cells)
