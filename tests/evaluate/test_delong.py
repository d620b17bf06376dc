"""DeLong's variance: the 1988 paper's own data, a slow definition, coverage, ties, clusters, a perfect ranking."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from homeostat.evaluate import delong

# Albumin, total protein, K-G score and whether surgery failed, of 43 women with ovarian cancer: the example of
# DeLong, DeLong and Clarke-Pearson 1988, complete records only.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def slow(truth, outputs):
    """The definition: every positive against every negative, O(n1 n0)."""
    v10, v01 = [], []
    for output in outputs:
        wins = (np.sign(output[truth == 1][:, None] - output[truth == 0][None, :]) + 1) / 2
        v10.append(wins.mean(axis=1))
        v01.append(wins.mean(axis=0))
    s10, s01 = np.atleast_2d(np.cov(v10)), np.atleast_2d(np.cov(v01))
    return np.mean(v10, axis=1), s10 / (truth == 1).sum() + s01 / (truth == 0).sum()


def normals(seed, n=200, distance=1.2, prevalence=0.3, models=1):
    random = np.random.default_rng(seed)
    truth = (np.arange(n) < n * prevalence).astype(float)
    common = random.normal(size=n)
    return truth, np.stack(
        [0.6 * common + 0.8 * random.normal(size=n) + distance * truth for _ in range(models)]
    )


def test_the_example_of_the_1988_paper():
    """Areas, standard errors and contrasts as SAS/STAT prints them for these data (PROC LOGISTIC, ROC comparison)."""
    albumin, protein, score, truth = np.array(OVARIAN.split(), float).reshape(-1, 4).T
    areas = delong.auroc(truth, np.stack([albumin, -score, protein]), np.arange(43))
    np.testing.assert_allclose(areas.value, [0.7366, 0.7258, 0.6478], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(areas.covariance)), [0.0927, 0.1028, 0.1000], atol=5e-5)
    contrast = np.array([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]])
    difference, covariance = contrast @ areas.value, contrast @ areas.covariance @ contrast.T
    np.testing.assert_allclose(difference, [0.0108, -0.0780], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.0953, 0.1046], atol=5e-5)
    chi2 = difference @ np.linalg.solve(covariance, difference)
    assert stats.chi2.sf(chi2, 2) == pytest.approx(0.2817, abs=5e-5)


def test_a_case_by_hand():
    """Positives 3, 1 against negatives 2, 0: three of four pairs won; v10 = 1, 1/2, v01 = 1/2, 1."""
    areas = delong.auroc(np.array([1.0, 1, 0, 0]), np.array([[3.0, 1, 2, 0]]), np.arange(4))
    assert areas.value[0] == 0.75
    assert areas.covariance[0, 0] == pytest.approx(0.125 / 2 + 0.125 / 2)


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_fast_equals_the_definition(decimals):
    for seed in range(5):
        truth, outputs = normals(seed, models=3)
        outputs = outputs if decimals is None else np.round(outputs, decimals)
        areas = delong.auroc(truth, outputs, np.arange(len(truth)))
        value, covariance = slow(truth, outputs)
        np.testing.assert_allclose(areas.value, value, atol=1e-12)
        np.testing.assert_allclose(areas.covariance, covariance, atol=1e-12)
        np.testing.assert_allclose(areas.value, [roc_auc_score(truth, o) for o in outputs], atol=1e-12)


def test_order_and_names_of_rows_do_not_matter():
    truth, outputs = normals(0, models=2)
    subjects = np.arange(len(truth)) // 3
    once = delong.auroc(truth, outputs, subjects)
    shuffled = np.random.default_rng(0).permutation(len(truth))
    again = delong.auroc(truth[shuffled], outputs[:, shuffled], [f"p{s}" for s in subjects[shuffled]])
    np.testing.assert_allclose(once.covariance, again.covariance, atol=1e-15)


def test_an_increasing_transformation_changes_nothing():
    truth, outputs = normals(1)
    once = delong.auroc(truth, outputs, np.arange(len(truth)))
    again = delong.auroc(truth, np.exp(outputs), np.arange(len(truth)))
    np.testing.assert_array_equal(once.covariance, again.covariance)


def test_reversing_the_truth_mirrors_the_area():
    truth, outputs = normals(2)
    areas, mirrored = (delong.auroc(t, outputs, np.arange(len(t))) for t in (truth, 1 - truth))
    assert areas.value[0] == pytest.approx(1 - mirrored.value[0])
    np.testing.assert_allclose(areas.covariance, mirrored.covariance, atol=1e-15)


@pytest.mark.parametrize(("n", "prevalence", "distance"), [(100, 0.3, 1.0), (400, 0.1, 1.6), (200, 0.5, 2.8)])
def test_coverage(n, prevalence, distance):
    true, covered, samples = stats.norm.cdf(distance / np.sqrt(2)), 0, 1500
    for seed in range(samples):
        truth, outputs = normals(seed, n=n, distance=distance, prevalence=prevalence)
        low, high = delong.interval(delong.auroc(truth, outputs, np.arange(n)), truth)
        covered += low <= true <= high
    assert 0.93 <= covered / samples <= 0.97


def test_coverage_when_patients_have_several_alike_rows():
    true, samples = stats.norm.cdf(1.2 / np.sqrt(2)), 800
    covered = {"by subject": 0, "by row": 0}
    for seed in range(samples):
        truth, outputs = normals(seed, n=100)
        rows = np.repeat(np.arange(100), 4)
        noise = 0.05 * np.random.default_rng(seed).normal(size=400)
        repeated = outputs[:, rows] + noise
        for name, subjects in (("by subject", rows), ("by row", np.arange(400))):
            low, high = delong.interval(delong.auroc(truth[rows], repeated, subjects), truth[rows])
            covered[name] += low <= true <= high
    assert 0.93 <= covered["by subject"] / samples <= 0.97
    assert covered["by row"] / samples < 0.75


def test_subjects_may_hold_both_outcomes():
    """Within one eye or lesion of a patient the outcome differs: Obuchowski's cross term makes the variance smaller."""
    random = np.random.default_rng(0)
    effect = np.repeat(random.normal(size=200), 2) * 2
    truth = np.tile([0.0, 1.0], 200)
    output = (effect + truth + 0.5 * random.normal(size=400))[None]
    clustered = delong.auroc(truth, output, np.repeat(np.arange(200), 2)).covariance[0, 0]
    assert clustered < 0.5 * delong.auroc(truth, output, np.arange(400)).covariance[0, 0]


@pytest.mark.parametrize("outputs", [np.full(40, 0.3), np.linspace(0, 1, 40)])
def test_one_subject_alone_tells_nothing_about_others(outputs):
    truth = (np.arange(40) % 2).astype(float)
    areas = delong.auroc(truth, outputs[None], np.zeros(40))
    assert np.isnan(delong.interval(areas, truth)).all()


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("per", [1, 4])
def test_a_constant_ranks_nothing_and_has_an_interval_around_one_half(value, per):
    truth = (np.arange(40) % 3 == 0).astype(float)
    areas = delong.auroc(truth, np.full((1, 40), value), np.arange(40) // per)
    low, high = delong.interval(areas, truth)
    assert areas.value[0] == 0.5
    assert 0.25 < low < 0.4
    assert low + high == pytest.approx(1, abs=0.02)


def test_never_above_one_or_below_zero():
    for seed in range(300):
        truth, outputs = normals(seed, n=24, distance=3.0, prevalence=0.5)
        low, high = delong.interval(delong.auroc(truth, outputs, np.arange(24)), truth)
        assert 0 <= low < high <= 1


def test_a_perfect_ranking_is_not_certain():
    """20 against 20: 0.899 solves (1-x)^2 = 1.96^2 x(1-x)/400 (1 + 19 ((1-x)/(2-x) + x/(1+x)))."""
    truth = np.repeat([0.0, 1.0], 20)
    for output, expected in ((truth, (0.899, 1.0)), (1 - truth, (0.0, 0.101))):
        interval = delong.interval(delong.auroc(truth, output[None], np.arange(40)), truth)
        assert interval == pytest.approx(expected, abs=5e-4)


def test_the_bound_of_a_perfect_ranking_rises_with_n():
    lows = [delong.newcombe(1.0, n, n)[0] for n in (10, 20, 100, 1000)]
    assert lows == sorted(lows)
    assert lows[-1] > 0.998


def test_newcombe_agrees_with_delong_in_the_middle_of_a_large_sample():
    truth, outputs = normals(0, n=4000)
    areas = delong.auroc(truth, outputs, np.arange(4000))
    ours = delong.newcombe(float(areas.value[0]), 1200, 2800)
    assert ours == pytest.approx(delong.interval(areas, truth), abs=0.003)


def test_the_interval_shrinks_with_n():
    widths = []
    for n in (100, 400, 1600):
        truth, outputs = normals(0, n=n)
        low, high = delong.interval(delong.auroc(truth, outputs, np.arange(n)), truth)
        widths.append(high - low)
    assert widths[0] > 1.6 * widths[1] > 2.5 * widths[2]
