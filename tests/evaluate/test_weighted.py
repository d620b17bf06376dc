"""Every weighted score equals scikit-learn's, also with ties, and integer weights equal copied rows."""

import numpy as np
import pytest
from sklearn import metrics

from homeostat.evaluate import weighted

PEERS = {
    "auroc": (weighted.auroc, metrics.roc_auc_score),
    "auprc": (weighted.auprc, metrics.average_precision_score),
    "brier": (weighted.brier, metrics.brier_score_loss),
    "log loss": (weighted.log_loss, metrics.log_loss),
}


def sample(seed, n=300, decimals=None):
    random = np.random.default_rng(seed)
    truth = (random.random(n) < 0.3).astype(float)
    output = np.clip(random.normal(0.4, 0.15, n) + 0.15 * truth, 0.001, 0.999)
    return truth, output if decimals is None else np.round(output, decimals)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("decimals", [None, 2, 1])
def test_equals_scikit_learn(name, decimals):
    ours, theirs = PEERS[name]
    for seed in range(5):
        truth, output = sample(seed, decimals=decimals)
        output = np.clip(output, 0.01, 0.99)
        assert weighted.value(ours(truth, output), len(truth)) == pytest.approx(
            theirs(truth, output), abs=1e-12
        )


@pytest.mark.parametrize("name", PEERS)
def test_equals_scikit_learn_with_weights(name):
    ours, theirs = PEERS[name]
    truth, output = sample(1, decimals=2)
    output = np.clip(output, 0.01, 0.99)
    weights = np.random.default_rng(2).random((4, len(truth)))
    expected = [theirs(truth, output, sample_weight=row) for row in weights]
    np.testing.assert_allclose(ours(truth, output)(weights), expected, atol=1e-12)


@pytest.mark.parametrize("name", PEERS)
def test_a_weight_of_three_is_three_copies_and_a_weight_of_zero_is_none(name):
    ours, theirs = PEERS[name]
    truth, output = sample(3, decimals=1)
    output = np.clip(output, 0.05, 0.95)
    weights = np.random.default_rng(4).integers(0, 4, len(truth))
    copied = np.repeat(truth, weights), np.repeat(output, weights)
    assert ours(truth, output)(weights[None].astype(float))[0] == pytest.approx(theirs(*copied), abs=1e-12)


@pytest.mark.parametrize("name", PEERS)
def test_the_order_of_the_rows_does_not_matter(name):
    ours, _ = PEERS[name]
    truth, output = sample(5, decimals=2)
    output = np.clip(output, 0.01, 0.99)
    shuffled = np.random.default_rng(0).permutation(len(truth))
    once, again = (
        weighted.value(ours(t, o), len(t)) for t, o in ((truth, output), (truth[shuffled], output[shuffled]))
    )
    assert once == pytest.approx(again, abs=1e-12)


def test_ties_count_one_half():
    truth, output = np.array([0.0, 1.0, 0.0, 1.0]), np.full(4, 0.5)
    assert weighted.value(weighted.auroc(truth, output), 4) == 0.5
    assert weighted.value(weighted.auprc(truth, output), 4) == 0.5


def test_a_certain_error_costs_much_but_not_infinity():
    assert weighted.value(weighted.log_loss(np.array([1.0]), np.array([0.0])), 1) == pytest.approx(
        34.54, abs=0.01
    )
