"""Paired tests: the right size when nothing differs, power when something does, seeds counted, Holm, both agree."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate import compare, delong
from homeostat.evaluate.predictions import Predictions


def rival(p, seed, noise=0.7, model="rival"):
    """Another reading of the same patients, blurred independently by as much."""
    z = special.logit(np.clip(p.output, 1e-9, 1 - 1e-9))
    blurred = z + np.random.default_rng([seed, 9]).normal(size=len(p)) * noise
    return replace(p, outputs=special.expit(blurred)[:, None], model=model)


def pair(ward, seed, n=250, noise=(0.7, 0.7), per=1):
    truth = ward(n, seed=seed, per=per)
    return rival(truth, seed, noise[0], "a"), rival(truth, seed + 100_000, noise[1], "b")


def test_size_of_the_paired_tests_when_both_are_equally_good(ward):
    seeds = 600
    p = {"delong": [], "bootstrap": []}
    for seed in range(seeds):
        a, b = pair(ward, seed)
        p["delong"].append(compare.paired_delong(a, b).p)
        p["bootstrap"].append(compare.paired_bootstrap([a], [b], "auroc", resamples=300).p)
    for name, values in p.items():
        assert 0.03 <= np.mean(np.array(values) < 0.05) <= 0.07, name


def test_size_with_clustered_rows(ward):
    def copies(p, seed):
        rows = np.repeat(np.arange(len(p)), 3)
        jitter = 0.01 * np.random.default_rng(seed).random(len(rows))
        return Predictions.build(
            "binary",
            "test",
            ids=range(len(rows)),
            subjects=rows,
            targets=p.truth[rows],
            outputs=np.clip(p.output[rows] + jitter, 0, 1),
            model=p.model,
        )

    pairs = [pair(ward, seed, n=200) for seed in range(300)]
    significant = [compare.paired_delong(copies(a, 1), copies(b, 2)).p < 0.05 for a, b in pairs]
    assert 0.02 <= np.mean(significant) <= 0.08


def test_coverage_of_the_difference(ward):
    big = pair(ward, 77, n=200_000, noise=(0.3, 1.5))
    true = compare.paired_delong(*big).difference
    covered, seeds = {"delong": 0, "bootstrap": 0}, 250
    for seed in range(seeds):
        a, b = pair(ward, seed, n=400, noise=(0.3, 1.5))
        for name, comparison in (
            ("delong", compare.paired_delong(a, b)),
            ("bootstrap", compare.paired_bootstrap([a], [b], "auroc", resamples=300)),
        ):
            covered[name] += comparison.low <= true <= comparison.high
    for count in covered.values():
        assert 0.92 <= count / seeds <= 0.98


def test_delong_and_bootstrap_agree(ward):
    a, b = pair(ward, 0, n=2000, noise=(0.3, 1.5))
    delong, boot = compare.paired_delong(a, b), compare.paired_bootstrap([a], [b], "auroc")
    assert delong.difference == pytest.approx(boot.difference, abs=1e-12)
    assert (delong.low, delong.high) == pytest.approx((boot.low, boot.high), abs=0.003)
    assert delong.p < 1e-6


def test_a_model_equals_itself(ward):
    a, _ = pair(ward, 0)
    for comparison in (compare.paired_delong(a, a), compare.paired_bootstrap([a], [a], "auprc")):
        assert (comparison.difference, comparison.low, comparison.high, comparison.p) == (0.0, 0.0, 0.0, 1.0)


def test_swapping_the_sides_mirrors_the_difference(ward):
    a, b = pair(ward, 0)
    one, other = compare.paired_delong(a, b), compare.paired_delong(b, a)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert one.p == pytest.approx(other.p)


def test_the_order_of_rows_in_the_files_does_not_matter(ward):
    a, b = pair(ward, 0)
    shuffled = b.take(np.random.default_rng(0).permutation(len(b)))
    assert compare.paired_delong(a, b) == compare.paired_delong(a, shuffled)


@pytest.mark.parametrize("score", ["auroc", "auprc", "brier", "log loss"])
def test_every_ranking_score_can_be_compared(ward, score):
    comparison = compare.paired_bootstrap(*([p] for p in pair(ward, 0)), score, resamples=200)
    assert comparison.low < comparison.difference < comparison.high


def test_regressions_are_compared_by_subject(cells):
    good, bad = cells(20, off=0.01), cells(20, off=0.05)
    bad = replace(good, outputs=bad.outputs - bad.targets + good.targets, model="bad")
    comparison = compare.paired_bootstrap([good], [bad], "rmse per subject")
    assert comparison.difference < 0
    assert comparison.p < 0.01
    assert (comparison.n, comparison.subjects) == (800, 20)


def test_one_training_each_speaks_of_these_two_only(ward):
    a, b = pair(ward, 0)
    comparison = compare.paired_bootstrap([a], [b], "auroc", resamples=200)
    assert comparison.seeds == (1, 1)
    assert comparison.note.startswith("one training each")


def test_several_seeds_widen_the_interval_by_the_variance_between_trainings(ward):
    """SE^2 = SE_boot^2 + s^2 (1/3 + 1/3): three trainings whose AUROCs scatter."""
    truth = ward(1000)
    a = [rival(truth, k, noise) for k, noise in enumerate((0.2, 0.8, 1.6))]
    b = [rival(truth, 10 + k, noise) for k, noise in enumerate((0.4, 1.0, 1.8))]
    comparison = compare.paired_bootstrap(a, b, "auroc", resamples=500)
    alone = compare.paired_bootstrap(a[:1], b[:1], "auroc", resamples=500)
    assert comparison.seeds == (3, 3)
    assert comparison.note == ""
    scores = [[compare.paired_delong(p, p).value_a for p in side] for side in (a, b)]
    assert comparison.value_a == pytest.approx(np.mean(scores[0]))
    seed_se = np.sqrt((np.var(scores[0], ddof=1) + np.var(scores[1], ddof=1)) / 2 * (2 / 3))
    assert comparison.high - comparison.low > 2 * 1.96 * seed_se > alone.high - alone.low


def test_size_with_three_seeds_each_when_seeds_scatter(ward):
    """A method whose trainings scatter, against itself: one seed each would call a winner far too often."""
    significant = {"three": [], "one": []}
    for seed in range(100):
        truth = ward(1500, seed=seed)
        random = np.random.default_rng(seed)
        group = [
            [rival(truth, 50 * seed + 10 * s + k, random.uniform(0.1, 1.2)) for k in range(3)] for s in (1, 2)
        ]
        significant["three"].append(compare.paired_bootstrap(*group, "auroc", resamples=150).p < 0.05)
        significant["one"].append(compare.paired_delong(group[0][0], group[1][0]).p < 0.05)
    assert np.mean(significant["three"]) <= 0.10
    assert np.mean(significant["one"]) > 0.3


def test_holm_by_hand():
    assert compare.holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert compare.holm([0.5, 0.9]) == (1.0, 1.0)
    assert compare.holm([]) == ()


def test_holm_never_falls_below_p_and_keeps_the_order():
    p = np.random.default_rng(0).random(20)
    corrected = np.array(compare.holm(p))
    assert (corrected >= p).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()
    assert (corrected <= np.minimum(1, 20 * p)).all()


def test_holm_holds_the_level_of_a_family():
    random = np.random.default_rng(0)
    false_alarms = [min(compare.holm(random.random(5))) < 0.05 for _ in range(4000)]
    assert np.mean(false_alarms) <= 0.06


def test_comparisons_made_together_are_corrected_together(ward):
    a, b = pair(ward, 0)
    comparisons = compare.adjusted(
        [compare.paired_delong(a, b), compare.paired_bootstrap([a], [b], "auprc", resamples=200)]
    )
    assert [c.holm for c in comparisons] == list(compare.holm([c.p for c in comparisons]))


@pytest.mark.parametrize("per", [1, 2, 250])
def test_constant_outputs_are_compared_like_any_other(ward, per):
    """A constant has no spread, and one subject alone none that can be known: neither is an error."""
    a = ward(250, per=per, seed=1) if per < 250 else replace(ward(250), subjects=np.full(250, "A"))
    low, high = (replace(a, outputs=np.full_like(a.outputs, risk), model=str(risk)) for risk in (0.3, 0.7))
    area = delong.auroc(a.truth, a.output[None], a.subjects).value[0]
    for one, other, difference in ((low, a, 0.5 - area), (a, low, area - 0.5), (low, high, 0.0)):
        for c in (
            compare.paired_delong(one, other),
            compare.paired_bootstrap([one], [other], "auroc", resamples=200),
        ):
            assert c.difference == pytest.approx(difference, abs=1e-12)
            if per == 250:
                assert np.isnan([c.low, c.high, c.p]).all()
            else:
                assert c.low <= c.difference <= c.high
                assert c.p == 1 if difference == 0 else c.p < 0.01


def test_mistakes_are_told(ward):
    a, b = pair(ward, 0)
    with pytest.raises(ConfigError, match="Score 'accuracy' cannot be compared here. Known: auroc"):
        compare.paired_bootstrap([a], [b], "accuracy")
    with pytest.raises(ConfigError, match="at least one prediction file"):
        compare.paired_bootstrap([a], [], "auroc")
    few = np.concatenate([np.flatnonzero(a.truth == 0), np.flatnonzero(a.truth == 1)[:3]])
    with pytest.raises(DataError, match="cannot be compared: only 3 positives"):
        compare.paired_delong(a.take(few), b.take(few))
