"""Laws of the table: each output stands in the row of its step, and nothing is known before a forecast begins."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from homeostat.recipes.battery.forecast import draw_piece, seen_until
from homeostat.recipes.battery.inputs import Cells
from homeostat.recipes.battery.track import whole
from homeostat.recipes.battery.view import View, table


def track(cell: str, steps: int):
    time = np.cumsum(np.arange(1.0, steps + 1))
    health = 1 - 0.001 * time
    return whole(cell, time, health[:, None], health)


TRACKS = (track("A", 30), track("B", 50))
CELLS = Cells(tracks=TRACKS, names=("soh",), target="soh", unit="days", groups=("A", "B"))
SHARES = {"early": partial(seen_until, share=0.3), "late": partial(seen_until, share=0.5)}
FORECAST = View(cells=CELLS, draw=draw_piece, columns=SHARES, reach=6, relative=True)
HEALTH = View(cells=CELLS, draw=draw_piece, columns={"soh": lambda one: one}, reach=6)


def numbered(tracks):
    """A model whose output is the number of the step."""
    return [one.steps.astype(float) for one in tracks]


def test_health_has_a_row_for_every_step_of_every_cell():
    rows = table(HEALTH, ["B", "A"], HEALTH.answer(["B", "A"], numbered), "test")
    assert rows.ids.tolist() == [f"{one.cell}/{step}" for one in TRACKS[::-1] for step in one.steps]
    np.testing.assert_array_equal(rows.output, [float(name.split("/")[1]) for name in rows.ids])
    np.testing.assert_array_equal(rows.truth, np.concatenate([one.target for one in TRACKS[::-1]]))
    np.testing.assert_array_equal(rows.time, np.concatenate([one.time for one in TRACKS[::-1]]))


@pytest.mark.parametrize("column", SHARES)
def test_a_forecast_stands_behind_its_own_cut_and_its_base_before(column):
    rows = table(FORECAST, ["A", "B"], FORECAST.answer(["A", "B"], numbered), "test")
    assert rows.names == tuple(SHARES)
    place = rows.names.index(column)
    steps = np.array([int(name.split("/")[1]) for name in rows.ids])
    for one in TRACKS:
        cut, own = SHARES[column](one), rows.subjects == one.cell
        ahead = np.isin(steps[own], cut.steps[~cut.seen])
        outputs, targets = rows.outputs[own, place], rows.targets[own, place]
        np.testing.assert_array_equal(outputs[ahead], steps[own][ahead])
        np.testing.assert_array_equal(targets[ahead], one.target[steps[own][ahead] - 1])
        assert (outputs[~ahead] == cut.base).all()
        assert np.isnan(targets[~ahead]).all()
    assert np.isfinite(rows.targets[:, 0]).all(), "the earliest cut decides which rows there are"
