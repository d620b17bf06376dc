"""A score survives JSON and says why when it is not estimable."""

import json

from homeostat.evaluate.score import Score, too_few


def test_a_score_survives_json():
    score = Score(
        name="auroc",
        value=0.87,
        low=0.85,
        high=0.89,
        n=4000,
        subjects=4000,
        events=568,
        split="valid",
        trivial=0.5,
    )
    assert Score.from_dict(json.loads(json.dumps(score.as_dict()))) == score


def test_infinity_becomes_null_because_json_has_none():
    score = Score(
        name="ratio", value=1.0, low=-float("inf"), high=float("nan"), n=1, subjects=1, split="test"
    )
    assert json.loads(json.dumps(score.as_dict(), allow_nan=False))["low"] is None


def test_a_newer_file_with_more_fields_can_be_read():
    assert (
        Score.from_dict({"name": "rmse", "value": 1.0, "n": 3, "subjects": 3, "split": "test", "later": 1}).n
        == 3
    )


def test_under_ten_positives_or_negatives_there_is_a_reason():
    assert too_few(9, 500) == "only 9 positives, at least 10 are needed"
    assert too_few(500, 9) == "only 9 negatives, at least 10 are needed"
    assert too_few(10, 10) == ""


def test_as_text():
    facts = {"name": "auroc", "n": 10, "subjects": 10, "split": "test"}
    assert str(Score(value=0.8, low=0.7, high=0.9, **facts)) == "auroc 0.800 [0.700, 0.900]"
    assert (
        str(Score(value=None, note="only 3 positives", **facts)) == "auroc not estimable (only 3 positives)"
    )
