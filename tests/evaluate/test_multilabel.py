"""Several questions at once: unknown truths count for nothing, rare targets are named and left out of the mean."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from homeostat.evaluate import binary, multilabel
from homeostat.evaluate.predictions import Predictions


def findings(n=400, seed=0, per=2):
    random = np.random.default_rng(seed)
    truth = (random.random((n, 4)) < [0.5, 0.2, 0.1, 0.01]).astype(float)
    output = np.clip(0.3 + 0.2 * truth + random.normal(size=(n, 4)) * 0.15, 0, 1)
    truth[random.random((n, 4)) < 0.2] = np.nan
    return Predictions.build(
        "multilabel",
        "test",
        ids=range(n),
        subjects=np.arange(n) // per,
        names=("normal", "edema", "effusion", "hernia"),
        targets=truth,
        outputs=output,
    )


def test_the_macro_score_is_the_mean_over_estimable_targets():
    p = findings()
    macro = {score.name: score for score in multilabel.scores(p, resamples=200)[:2]}
    for name, peer in (("macro auroc", roc_auc_score), ("macro auprc", average_precision_score)):
        each = [peer(p.one(target).truth, p.one(target).output) for target in p.names[:3]]
        assert macro[name].value == pytest.approx(np.mean(each), abs=1e-12)
        assert macro[name].low < macro[name].value < macro[name].high
        assert macro[name].note == "mean of 3 of 4 targets; not estimable: hernia"
        assert macro[name].target == ""


def test_every_target_has_the_scores_of_a_binary_one():
    p = findings()
    alone = binary.scores(p.one("edema"), resamples=200)
    among = [score for score in multilabel.scores(p, resamples=200) if score.target == "edema"]
    assert [(s.name, s.value, s.low) for s in among] == [(s.name, s.value, s.low) for s in alone]


def test_a_rare_target_is_not_estimable():
    hernia = [score for score in multilabel.scores(findings(), resamples=50) if score.target == "hernia"]
    assert hernia
    assert all(score.value is None for score in hernia)


def test_nothing_is_claimed_when_no_target_is_estimable():
    p = findings(n=12)
    macro = multilabel.scores(p, resamples=50)[0]
    assert macro.value is None
    assert macro.note == "no target has ten positives and ten negatives"


def test_an_output_of_unknown_truth_changes_no_score():
    p = findings()
    changed = p.outputs.copy()
    changed[np.isnan(p.targets)] = 0.99
    q = Predictions.build(
        "multilabel",
        "test",
        ids=p.ids,
        subjects=p.subjects,
        names=p.names,
        targets=p.targets,
        outputs=changed,
    )
    before, after = (multilabel.scores(x, resamples=100) for x in (p, q))
    assert before == after
