"""A forest has an axis with numbers, and its rows and its reference lie where that axis says."""

import re

import numpy as np
import pytest

from homeostat.evaluate.score import Score
from homeostat.report import page, sections
from homeostat.report.collect import collect
from homeostat.report.forest import Scale, forest


def score(value, low, high, group=""):
    return Score(
        name="auroc", value=value, low=low, high=high, n=100, subjects=100, split="test", group=group
    )


ROWS = [("a", score(0.8, 0.7, 0.9)), ("b", score(0.6, 0.55, 0.68)), ("c", score(None, None, None))]


def percent(text, kind, attribute):
    return [
        float(re.search(rf'{attribute}="([\d.]+)%', tag)[1])
        for tag in re.findall(r"<(?:line|circle)[^>]*>", text)
        if f'class="{kind}"' in tag
    ]


def ticks(text):
    return {
        float(label.replace("−", "-")): float(x)
        for x, label in re.findall(r'<text class="tick" x="([\d.]+)%"[^>]*>([^<]*)</text>', text)
    }


def test_the_rows_lie_where_the_numbers_of_the_axis_say():
    drawn = forest(ROWS, reference=0.5, dotted="guessing", what="Model")
    numbers = ticks(drawn)
    assert len(numbers) >= 3
    slope, start = np.polyfit(list(numbers.values()), list(numbers), 1)
    for kind, attribute, expected in (
        ("mark s0", "cx", [0.8, 0.6]),
        ("line s0", "x1", [0.7, 0.55]),
        ("line s0", "x2", [0.9, 0.68]),
        ("line trivial", "x1", [0.5] * 3),
    ):
        places = percent(drawn, kind, attribute)
        assert [start + slope * place for place in places] == pytest.approx(expected, abs=1e-3)


def test_the_reference_line_and_the_interval_have_their_meaning_beside_them():
    drawn = forest(ROWS, reference=0.5, dotted="guessing", what="Model")
    assert re.search(r'class="line trivial"[^>]*/></svg>guessing: 0\.500</li>', drawn)
    assert re.search(r'class="line s0"[^>]*/></svg>95% interval</li>', drawn)
    without = forest(ROWS, reference=None, dotted="guessing", what="Model")
    assert "trivial" not in without
    assert "guessing" not in without


def test_every_number_of_an_axis_is_inside_of_it():
    random = np.random.default_rng(0)
    for _ in range(100):
        values = random.normal(size=3) * 10.0 ** random.integers(-4, 4)
        scale = Scale.over(list(values))
        assert all(0 <= float(scale.place(value)[:-1]) <= 100 for value in values)
    assert Scale.over([None, float("nan")]) == Scale(-0.06, 1.06)
    assert Scale.over([2.0]) == Scale(1.5, 2.5)


def test_every_forest_of_a_page_has_an_axis(icu_run):
    text = page.render(icu_run)
    forests = re.findall(r'<table class="forest.*?</table>', text)
    assert len(forests) >= 2
    assert all(len(ticks(drawn)) >= 2 for drawn in forests)


def test_age_bands_come_in_their_order(icu_run):
    metrics = collect(icu_run).metrics
    levels = ["50 to 64", "65 to 79", "80 and above", "below 50"]
    bands = [metrics["subgroups"][0] | {"group": f"age={level}"} for level in levels]
    changed = collect(icu_run).__class__(
        **{**vars(collect(icu_run)), "metrics": {**metrics, "subgroups": bands}}
    )
    rows = re.findall(r'<th scope="row" class="">([^<]*)</th>', sections.subgroups(changed))
    assert [row for row in rows if row.startswith("age")] == [
        "age: below 50",
        "age: 50 to 64",
        "age: 65 to 79",
        "age: 80 and above",
    ]
