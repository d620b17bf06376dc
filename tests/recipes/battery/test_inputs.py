"""Laws of the inputs: what the early curve says, which cells share a rig, and no input that gives the target away."""

from __future__ import annotations

import numpy as np
import pytest

from homeostat.data.disguise import LEVELS, judge
from homeostat.errors import ConfigError
from homeostat.recipes.battery.inputs import NASA_CELLS, SLOPE, WARMING, read_cells, side_by_side
from homeostat.recipes.battery.prepare import Preparation, blueprint


@pytest.fixture(scope="module")
def nasa(shared_data, tmp_path_factory):
    return blueprint(shared_data / "battery" / "nasa", Preparation()).build(tmp_path_factory.mktemp("stores"))


def test_cells_of_one_rig_share_a_group(nasa):
    group = dict(zip((str(cell) for cell in nasa["cell"]), side_by_side(nasa), strict=True))
    assert group["B0005"] == group["B0006"] == group["B0007"]
    assert group["B0053"] == group["B0054"] == group["B0056"]
    assert len(set(group.values())) == 10


def test_inputs_of_nasa_cells_are_slope_and_warming_alone(nasa):
    cells = read_cells(nasa, cells=NASA_CELLS)
    assert cells.names == (SLOPE, WARMING)
    assert cells.unit == "cycles"
    for track in cells.tracks:
        assert len(track) == 168
        assert track.seen.all()
        # Known but no disguise: the small ups and downs of health are not in them exactly.
        for column in track.inputs.T:
            assert 0.8 < abs(np.corrcoef(column, track.target)[0, 1]) < 0.999
            assert judge(column, track.target, track.time) < LEVELS


def test_the_slope_is_that_of_a_straight_line(nasa):
    offsets = nasa.ragged("curve").offsets
    seconds = np.array(nasa.meta["curve_time_s"])
    curve = np.array(nasa.ragged("curve").values[offsets[0]], np.float64)
    inside = (seconds >= 700) & (seconds <= 900)
    slope = np.polyfit(seconds[inside], curve[inside, 0], 1)[0]
    assert read_cells(nasa, cells=("B0005",)).tracks[0].inputs[0, 0] == pytest.approx(-1e-3 / slope, rel=1e-5)


def test_simulated_cells_bring_all_their_inputs(store):
    cells = read_cells(store)
    assert set(cells.names) == {"temperature_c", "resistance_ohm", "throughput_ah"}
    assert cells.groups == cells.cells


def test_unknown_names_are_refused_with_the_nearest(store):
    with pytest.raises(ConfigError, match="There is no cell 'S01'"):
        read_cells(store, cells=("S01",))
    with pytest.raises(ConfigError, match="Did you mean 'resistance_ohm'"):
        read_cells(store, inputs=("resistence_ohm",))
