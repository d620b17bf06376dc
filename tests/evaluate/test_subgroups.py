"""Every subgroup is scored as if it were alone; small ones are not spoken of."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from homeostat.errors import ConfigError
from homeostat.evaluate import subgroups
from homeostat.evaluate.predictions import Predictions


def test_each_group_is_scored_alone(ward):
    p = ward(600)
    scores = {score.group: score for score in subgroups.scores(p) if score.name == "auroc"}
    assert set(scores) == {"sex=female", "sex=male"}
    women = p.groups["sex"] == "female"
    assert scores["sex=female"].value == pytest.approx(roc_auc_score(p.truth[women], p.output[women]))
    assert sum(score.n for score in scores.values()) == 600


def test_a_small_group_is_suppressed_with_its_count():
    truth = np.tile([0, 1], 100)
    group = ["rare"] * 19 + ["common"] * 181
    p = Predictions.build(
        "binary",
        "test",
        ids=range(200),
        targets=truth,
        outputs=np.linspace(0, 1, 200),
        groups={"unit": group},
    )
    rare = next(score for score in subgroups.scores(p) if score.group == "unit=rare")
    assert (rare.value, rare.n, rare.events) == (None, 0, None)
    assert rare.note == "suppressed: fewer than 20 subjects"
    score = next(score for score in subgroups.scores(p, minimum=10) if score.group == "unit=rare")
    assert score.n == 19


def test_rows_of_one_patient_do_not_make_a_group_large_enough():
    p = Predictions.build(
        "binary",
        "test",
        ids=range(200),
        subjects=np.arange(200) // 20,
        targets=np.tile([0, 1], 100),
        outputs=np.linspace(0, 1, 200),
        groups={"unit": ["a"] * 200},
    )
    assert subgroups.scores(p)[0].value is None


def test_a_group_with_few_positives_shows_its_n_but_no_score(ward):
    p = ward(400)
    rows = np.concatenate([np.flatnonzero(p.truth == 0), np.flatnonzero(p.truth == 1)[:8]])
    for score in subgroups.scores(p.take(rows)):
        assert score.value is None
        assert score.n > 0
        assert "positives" in score.note


def test_a_regression_has_its_rmse(cells):
    p = cells(60, groups={"chemistry": np.repeat(["lfp", "nmc"], 30 * 40)})
    scores = subgroups.scores(p, resamples=100)
    assert [(score.name, score.group) for score in scores] == [
        ("rmse", "chemistry=lfp"),
        ("rmse", "chemistry=nmc"),
    ]


def test_an_unknown_group_is_refused(ward):
    with pytest.raises(ConfigError, match="There is no group 'age'. Known: sex"):
        subgroups.scores(ward(100), columns=("age",))
