"""Data land where the axes say, ticks are round numbers inside the range, gaps stay gaps."""

import re

import numpy as np
import pytest

from homeostat.report import chart
from homeostat.report.chart import Axes

AXES = Axes(x=(0, 10), y=(-1, 1), x_label="x", y_label="y")


def test_corners_of_the_data_are_corners_of_the_panel():
    assert AXES.px([0, 10]).tolist() == [chart.LEFT, chart.WIDTH - chart.RIGHT]
    assert AXES.py([-1, 1]).tolist() == [chart.HEIGHT - chart.BOTTOM, chart.TOP]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.83, 0.87, [0.83, 0.84, 0.85, 0.86, 0.87]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert chart.ticks(low, high) == pytest.approx(expected)


def test_ticks_lie_inside_any_range_and_are_few():
    random = np.random.default_rng(0)
    for _ in range(300):
        low = random.normal() * 10.0 ** random.integers(-6, 6)
        high = low + abs(random.normal()) * 10.0 ** random.integers(-6, 6) + 1e-9 * abs(low) + 1e-12
        ticks = chart.ticks(low, high)
        room = (high - low) * 1e-6
        assert all(low - room <= tick <= high + room for tick in ticks)
        assert len(ticks) <= 11


def test_a_line_breaks_at_what_is_not_finite():
    path = chart.line(AXES, [0, 1, 2, 3, 4], [0, 0.5, np.nan, 0.5, 0], "s0")
    assert path.count("M") == 2
    assert path.count("L") == 2


def test_a_step_goes_along_and_then_up():
    d = re.search(r'd="([^"]*)"', chart.line(AXES, [0, 10], [-1, 1], "s0", step=True)).group(1)
    assert d == f"M52.0 230.0L350.0 230.0L350.0 {chart.TOP:.1f}"


def test_a_range_holds_its_values_with_room_and_survives_constants():
    assert chart.spanning([1, 2, np.nan]) == pytest.approx((0.96, 2.04))
    low, high = chart.spanning([5, 5, 5])
    assert low < 5 < high
    assert chart.spanning([]) == (0.0, 1.0)
    assert chart.spanning([3, 4], floor=0.0)[0] == 0.0


def test_words_on_a_panel_are_escaped():
    hostile = Axes(x=(0, 1), y=(0, 1), x_label="<script>", y_label='"')
    svg = chart.panel(hostile, [chart.text(hostile, 0, 0, "<b>")], title='"><script>', described="<i>")
    assert "<script>" not in svg
    assert "<b>" not in svg
    assert "<i>" not in svg


def test_tick_words():
    assert chart.tick_text(-0.5) == "−0.5"
    assert chart.tick_text(0.30000000000000004) == "0.3"
    assert chart.tick_text(20000) == "20k"
