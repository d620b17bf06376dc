"""Where donors are scored one by one, their table comes first, whole, and is not called suppressed."""

import json
import re

import pytest

from homeostat.report import each, page
from homeostat.report.collect import collect


def row(auroc, n=48):
    scores = {"auprc": 0.6, "balanced accuracy": 0.5, "mcc": 0.1, "f1": 0.4}
    return {"n": n, "positives": 13, "all-positive f1": 0.43, "auroc": auroc, **scores}


@pytest.fixture
def donors_run(icu_run):
    """A run whose rows belong to donors, of whom one holds a single class."""
    metrics = json.loads((icu_run / "metrics.json").read_text())
    rows = {"D1": row(0.91), "D2": row(0.62), "D<3>": row(None)}
    spread = {"auroc": {"mean": 0.765, "sd": 0.205, "lowest": 0.62, "n": 2}}
    suppressed = metrics["subgroups"][0] | {
        "value": None,
        "note": "suppressed: fewer than 20 subjects",
        "n": 0,
    }
    metrics["subgroups"] = [suppressed | {"group": f"donor={name}"} for name in rows]
    metrics["each donor"] = {"rows": rows, "spread": spread}
    metrics["each seed"] = {"rows": {"0": row(0.8), "1": row(0.7)}, "spread": {}}
    metrics["possible"] = {"donor D1": {"auroc": 0.91, "possible": 0.95, "ratio": 0.96}}
    (icu_run / "metrics.json").write_text(json.dumps(metrics))
    (icu_run / "environment.json").write_text('{"protocol": "leave-one-out"}')
    return icu_run


def test_the_table_of_donors_is_the_first_section(donors_run):
    text = page.render(donors_run)
    titles = re.findall(r"<h2>(.*?)</h2>", text.split("What to distrust")[1])
    assert titles[0] == "Donor by donor"
    assert titles.index("Seed by seed") > titles.index("Scores on the test split")
    assert "suppressed: fewer" not in text
    assert "Each donor was tested by models that never saw it." in text


def test_every_donor_has_its_row_and_the_spread_is_below(donors_run):
    drawn = each.groups(collect(donors_run))
    rows = dict(re.findall(r'<th scope="row" class="">(.*?)</th>(.*?)</tr>', drawn))
    assert list(rows) == [
        "D1",
        "D2",
        "D&lt;3&gt;",
        "",
        *(f"<em>{w}</em>" for w in ("mean", "standard deviation", "lowest")),
    ]
    assert "<b>0.910</b>" in rows["D1"]
    assert 'data-head="best possible">0.950' in rows["D1"]
    assert "<b>–</b>" in rows["D&lt;3&gt;"]
    assert 'data-head="AUROC">0.765' in rows["<em>mean</em>"]
    assert rows["D1"].count("<td") == rows["<em>mean</em>"].count("<td")


def test_the_first_screen_names_the_worst_donor(donors_run):
    first = page.render(donors_run).split("What was checked")[0]
    assert "each donor alone: mean 0.765, lowest 0.620 (D2)" in first


def test_of_many_donors_the_ends_are_shown(donors_run):
    metrics = json.loads((donors_run / "metrics.json").read_text())
    metrics["each donor"]["rows"] = {f"D{k}": row(k / 100) for k in range(40, 90)}
    (donors_run / "metrics.json").write_text(json.dumps(metrics))
    drawn = each.groups(collect(donors_run))
    names = re.findall(r'<th scope="row" class="">(D\d+)</th>', drawn)
    assert names == [f"D{k}" for k in (*range(40, 52), *range(78, 90))]
    assert "26 in the middle are left out." in drawn
