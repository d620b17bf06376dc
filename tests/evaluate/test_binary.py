"""Scores of a yes/no target: equal to scikit-learn's, honest at the edges, beside the trivial predictor's."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from homeostat.evaluate import binary, weighted
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.threshold import Threshold

FEW = {"resamples": 300}


def named(scores):
    return {score.name: score for score in scores}


def test_threshold_scores_equal_scikit_learn(ward):
    p = ward(500)
    called = p.output >= 0.3
    ours = named(binary.scores(p, threshold=Threshold(value=0.3, rule="given", fitted_on="given"), **FEW))
    theirs = {
        "sensitivity": metrics.recall_score(p.truth, called),
        "specificity": metrics.recall_score(1 - p.truth, ~called),
        "ppv": metrics.precision_score(p.truth, called),
        "npv": metrics.precision_score(1 - p.truth, ~called),
        "accuracy": metrics.accuracy_score(p.truth, called),
        "balanced accuracy": metrics.balanced_accuracy_score(p.truth, called),
        "f1": metrics.f1_score(p.truth, called),
        "mcc": metrics.matthews_corrcoef(p.truth, called),
        "auroc": metrics.roc_auc_score(p.truth, p.output),
        "auprc": metrics.average_precision_score(p.truth, p.output),
        "brier": metrics.brier_score_loss(p.truth, p.output),
    }
    for name, value in theirs.items():
        assert ours[name].value == pytest.approx(value, abs=1e-12), name


def test_every_score_has_its_n_interval_method_split_and_trivial_predictor(ward):
    for score in binary.scores(ward(500), **FEW):
        assert (score.n, score.subjects, score.split, score.model) == (500, 500, "test", "model")
        assert score.low <= score.value <= score.high, score.name
        assert score.method
        assert score.trivial is not None


def test_bootstrap_and_delong_agree_on_a_large_sample(ward):
    scores = named(binary.scores(ward(3000)))
    delong, boot = scores["auroc"], scores["auroc (bootstrap)"]
    assert delong.value == pytest.approx(boot.value, abs=1e-12)
    assert (delong.low, delong.high) == pytest.approx((boot.low, boot.high), abs=0.003)


def test_a_perfect_model_is_not_certain():
    truth = np.repeat([0, 1], 30)
    scores = named(
        binary.scores(Predictions.build("binary", "test", ids=range(60), targets=truth, outputs=truth), **FEW)
    )
    assert scores["auroc"].value == 1.0
    assert 0.9 < scores["auroc"].low < scores["auroc"].high == 1.0
    assert 0.8 < scores["sensitivity"].low < 0.95
    assert scores["mcc"].value == scores["f1"].value == 1.0
    assert scores["brier"].value == 0.0


def test_an_interval_near_one_warns_that_it_is_narrow(ward):
    p = ward(300)
    truth = np.arange(300) < 40
    output = np.clip(0.3 + 0.3 * truth + np.random.default_rng(0).normal(size=300) * 0.1, 0, 1)
    near_one = Predictions.build("binary", "test", ids=p.ids, targets=truth, outputs=output)
    assert binary.auroc(near_one).value > 0.95
    assert binary.auroc(near_one).note == binary.NARROW
    assert binary.auroc(p).note == ""


def test_a_constant_model_scores_what_the_trivial_predictor_scores(ward):
    p = ward(500)
    rate = np.full_like(p.outputs, p.truth.mean())
    for score in binary.scores(replace(p, outputs=rate), **FEW):
        if score.name not in ("ppv", "f1", "npv"):
            assert score.value == pytest.approx(score.trivial), score.name
        if score.name == "ppv":
            assert score.value is None
            assert score.note.startswith("at 0.500")


def test_the_trivial_f1_is_that_of_saying_yes_to_everybody():
    truth = np.repeat([0.0, 1.0], [326, 674])
    everybody = metrics.f1_score(truth, np.ones(1000))
    assert binary.trivials(0.674, 0.5)["f1"] == pytest.approx(everybody)
    assert round(everybody, 3) == 0.805


@pytest.mark.parametrize(
    ("positives", "reason"), [(9, "only 9 positives"), (491, "only 9 negatives"), (0, "only 0")]
)
def test_under_ten_cases_nothing_is_estimable(positives, reason):
    truth = np.arange(500) < positives
    p = Predictions.build("binary", "test", ids=range(500), targets=truth, outputs=np.linspace(0, 1, 500))
    for score in binary.scores(p, **FEW):
        assert score.value is None
        assert reason in score.note


def test_rows_without_a_truth_are_left_out(ward):
    p = ward(300)
    unknown = Predictions.build(
        "binary", "test", ids=["u1", "u2"], targets=[np.nan, np.nan], outputs=[0.1, 0.9]
    )
    both = Predictions.build(
        "binary",
        "test",
        ids=[*p.ids, *unknown.ids],
        targets=[*p.truth, np.nan, np.nan],
        outputs=[*p.output, 0.1, 0.9],
    )
    assert named(binary.scores(both, **FEW))["auprc"].value == named(binary.scores(p, **FEW))["auprc"].value
    assert named(binary.scores(both, **FEW))["auprc"].n == 300


def test_the_order_of_rows_changes_no_number(ward):
    p = ward(300, per=3)
    shuffled = p.take(np.random.default_rng(0).permutation(300))
    for a, b in zip(binary.scores(p, **FEW), binary.scores(shuffled, **FEW), strict=True):
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=1e-9), a.name


def test_ten_copies_of_every_patient_make_nobody_surer(ward):
    p = ward(200)
    rows = np.repeat(np.arange(200), 10)
    many = Predictions.build(
        "binary", "test", ids=range(2000), subjects=rows, targets=p.truth[rows], outputs=p.output[rows]
    )
    one, ten = (named(binary.scores(q, resamples=1000)) for q in (p, many))
    for name in one:
        width_one, width_ten = one[name].high - one[name].low, ten[name].high - ten[name].low
        assert width_ten == pytest.approx(width_one, rel=0.1), name
        assert ten[name].method.endswith("clustered by subject")


@pytest.mark.parametrize(("n", "seeds"), [(150, 400), (600, 250)])
def test_coverage_of_average_precision_and_brier(ward, n, seeds):
    everybody = ward(200_000, seed=99, noise=0.7)
    true = {
        "auprc": metrics.average_precision_score(everybody.truth, everybody.output),
        "brier": metrics.brier_score_loss(everybody.truth, everybody.output),
    }
    covered = dict.fromkeys(true, 0)
    for seed in range(seeds):
        p = ward(n, seed=seed, noise=0.7)
        drawn = binary.bootstrap.resample(
            p.subjects,
            {"auprc": weighted.auprc(p.truth, p.output), "brier": weighted.brier(p.truth, p.output)},
            resamples=400,
        )
        for name in true:
            value = weighted.value(
                {"auprc": weighted.auprc, "brier": weighted.brier}[name](p.truth, p.output), n
            )
            interval, _ = binary._interval(name, p, p.truth, drawn[name], value, 0.95)
            covered[name] += interval.low <= true[name] <= interval.high
    for name, count in covered.items():
        assert 0.92 <= count / seeds <= 0.98, name
