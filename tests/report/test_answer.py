"""The first sentence says what the score is worth, and does not praise what cannot be used."""

import json

import pytest

from homeostat.report import answer
from homeostat.report.collect import collect


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def sentence(folder):
    return answer.sentence(collect(folder))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"value": 0.86, "low": 0.83, "high": 0.89},
            "The model surely beats a predictor that looks at nothing.",
        ),
        ({"value": 0.52, "low": 0.46, "high": 0.58}, "It is not shown that the model learnt anything."),
        (
            {"value": 0.30, "low": 0.25, "high": 0.35},
            "The model is worse than a predictor that looks at nothing.",
        ),
        ({"low": None, "high": None}, "The score has no interval"),
        ({"value": None, "note": "only 4 positives"}, "There is no score: only 4 positives."),
    ],
)
def test_the_score_against_nothing(icu_run, changes, expected):
    headline = json.loads((icu_run / "metrics.json").read_text())["headline"]
    edit(icu_run / "metrics.json", headline=headline | changes)
    assert sentence(icu_run).startswith(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.01, 0.03, "beats"), (-0.01, 0.03, "does not surely differ from"), (-0.03, -0.01, "loses to")],
)
def test_the_score_against_the_yard_stick(icu_run, battery_run, low, high, expected):
    """The lower of two errors wins."""
    for folder, sign, rival in ((icu_run, 1, "xgboost"), (battery_run, -1, "linear fade")):
        (comparison, *_) = json.loads((folder / "metrics.json").read_text())["comparisons"]
        ends = sorted((sign * low, sign * high))
        changed = comparison | {"difference": sum(ends) / 2, "low": ends[0], "high": ends[1]}
        edit(folder / "metrics.json", comparisons=[changed])
        assert sentence(folder).endswith(f"It {expected} {rival}.")


def test_a_leak_and_a_broken_law_come_before_any_praise(icu_run, halted_run):
    assert "not been evaluated" in sentence(halted_run)
    splits = json.loads((icu_run / "splits.json").read_text())
    edit(icu_run / "splits.json", train=[*splits["train"], "3"])
    assert sentence(icu_run).startswith("Do not use this score")
    edit(icu_run / "splits.json", train=splits["train"])
    finding = {"audit": "masking", "severity": "fatal", "what": "A mask masks nothing.", "advice": ""}
    (icu_run / "findings.json").write_text(json.dumps({"tried": ["masking"], "findings": [finding]}))
    assert sentence(icu_run).startswith("Do not use this score")
    edit(icu_run / "findings.json", findings=[finding | {"severity": "serious"}])
    assert sentence(icu_run).startswith("The model surely beats")
