"""Laws of the ladder: it never loses to its best member, and takes a richer rung only where that rung earns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from homeostat.data.ragged import Array
from homeostat.methods import ladder
from homeostat.methods.ensemble import logit, probability
from homeostat.methods.ladder import FEWEST_CASES, RUNGS, Ladder, convex, loss, mlp

ROWS = 1000


@dataclass(frozen=True)
class Panel:
    """Members' probabilities (N, 1) of simulated outcomes."""

    members: Mapping[str, Array]
    truth: Array

    def fit(self) -> Ladder:
        return Ladder.fit(self.members, self.truth, [str(row) for row in range(len(self.truth))], seed=0)

    def losses(self) -> dict[str, float]:
        return {name: float(loss(logit(each), self.truth).mean()) for name, each in self.members.items()}


def panel(kind: str, seed: int, rows: int = ROWS) -> Panel:
    """Members whose relation to the truth is known."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows, 1))
    true, logits = {
        "mean is right": (a + b - 1.5, [2 * a - 1.5, 2 * b - 1.5]),
        "identical": (1.5 * a - 1.5, [1.5 * a - 1.5] * 2),
        "one is noise": (1.5 * a - 1.5, [1.5 * a - 1.5, b - 1.5]),
        "unequal": (2.25 * a + 0.75 * b - 1.5, [3 * a - 1.5, 3 * b - 1.5]),
        "too sure": (1.5 * a - 1.5, [4 * a + 2 * b - 1.5, 4 * a - 2 * b - 1.5]),
        "nearly equal": (a - 0.5, [a + 0.05 * b - 0.5, a - 0.05 * b - 0.5]),
        "bent": (3 * np.sign(a * b), [a, b]),
    }[kind]
    truth = (random.random((rows, 1)) < probability(true)).astype(float)
    return Panel({f"m{place}": probability(each) for place, each in enumerate(logits)}, truth)


KINDS = ("mean is right", "identical", "one is noise", "unequal", "too sure", "nearly equal", "bent")


@pytest.mark.parametrize("rows", [60, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_never_falls_below_its_best_member_on_the_data_that_chose_it(kind: str, rows: int) -> None:
    for seed in range(3):
        drawn = panel(kind, seed, rows)
        fitted = drawn.fit()
        lowest = min(drawn.losses().values())
        assert fitted.nested["best"] == pytest.approx(lowest, abs=1e-9)
        assert fitted.nested[fitted.rung] <= lowest + 1e-9
        assert loss(logit(fitted.combine(drawn.members)), drawn.truth).mean() <= lowest + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_convex_weights_are_a_simplex(kind: str) -> None:
    drawn = panel(kind, 0)
    logits = np.concatenate([logit(each) for each in drawn.members.values()], axis=1)
    fitted = convex(logits, drawn.truth[:, 0])
    weights = np.array(fitted.weights[0])
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert fitted.biases == ((0.0,),)


def test_convex_weights_have_the_least_loss_of_all_weights_on_a_grid() -> None:
    drawn = panel("unequal", 0)
    logits = np.concatenate([logit(each) for each in drawn.members.values()], axis=1)
    truth = drawn.truth[:, 0]
    grid = np.linspace(0, 1, 501)
    losses = [loss(logits @ np.array([weight, 1 - weight]), truth).mean() for weight in grid]
    assert convex(logits, truth).weights[0][0] == pytest.approx(grid[np.argmin(losses)], abs=0.003)


def test_two_identical_members_change_nothing() -> None:
    for seed in range(3):
        drawn = panel("identical", seed)
        combined = drawn.fit().combine(drawn.members)
        assert combined == pytest.approx(drawn.members["m0"], abs=1e-9)


def test_noise_beside_one_informative_member_gets_no_weight() -> None:
    for seed in range(3):
        drawn = panel("one is noise", seed)
        fitted = drawn.fit()
        other = {**drawn.members, "m1": drawn.members["m1"][::-1]}
        assert fitted.combine(other) == pytest.approx(fitted.combine(drawn.members), abs=0.01)


def test_a_richer_rung_is_not_taken_where_the_mean_is_right() -> None:
    rungs = [panel("mean is right", seed).fit().rung for seed in range(8)]
    # One standard error lets chance through now and then.
    assert rungs.count("mean") >= 7


def test_a_richer_rung_is_taken_where_it_is_right() -> None:
    assert panel("unequal", 0).fit().rung == "convex"
    assert panel("too sure", 0).fit().rung == "logistic"
    assert panel("bent", 0).fit().rung == "mlp"


def test_the_network_of_scikit_learn_is_applied_as_it_was_fitted() -> None:
    from sklearn.neural_network import MLPClassifier

    drawn = panel("unequal", 0)
    logits = np.concatenate([logit(each) for each in drawn.members.values()], axis=1)
    spread = np.maximum(np.abs(logits).mean(axis=0), 1.0)
    reference = MLPClassifier(
        (ladder.HIDDEN,),
        activation="tanh",
        solver="lbfgs",
        alpha=ladder.MLP_PENALTY,
        max_iter=500,
        random_state=0,
    ).fit(logits / spread, drawn.truth[:, 0])
    expected = reference.predict_proba(logits / spread)[:, 1]
    assert probability(mlp(logits, drawn.truth[:, 0]).apply(logits)) == pytest.approx(expected, abs=1e-9)


def test_subjects_and_not_rows_are_counted() -> None:
    """Each row is there four times. The standard error is that of the subjects, so the same rung is taken."""
    drawn = panel("unequal", 1, 200)
    once = drawn.fit()
    rows = np.repeat(np.arange(200), 4)
    many = Ladder.fit(
        {name: each[rows] for name, each in drawn.members.items()},
        drawn.truth[rows],
        [str(row) for row in rows],
        seed=0,
    )
    assert many.rung == once.rung
    assert many.nested["convex"] == pytest.approx(once.nested["convex"], abs=1e-4)


def multilabel(seed: int = 0, rows: int = 800) -> Panel:
    """Three targets of two members: one known everywhere, one for half of the rows, one with too few cases."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows, 3))
    truth = (random.random((rows, 3)) < probability(2 * a + 0.7 * b - np.array([1.5, 1.5, 6.0]))).astype(
        float
    )
    truth[random.random(rows) < 0.5, 1] = np.nan
    truth[:2] = np.nan
    return Panel({"m0": probability(2.2 * a - 1.5), "m1": probability(2 * b - 1.5)}, truth)


def test_unknown_targets_are_not_learnt_from() -> None:
    drawn = multilabel()
    fitted = drawn.fit()
    assert 0 < np.nansum(drawn.truth[:, 2]) < FEWEST_CASES
    assert [each.rung for each in fitted.targets] == [fitted.rung, fitted.rung, "mean"]
    assert all(np.isfinite(value) for value in fitted.nested.values())
    for column in range(2):
        known = np.isfinite(drawn.truth[:, column])
        logits = np.concatenate([logit(each[:, [column]]) for each in drawn.members.values()], axis=1)
        alone = RUNGS[fitted.rung](logits[known], drawn.truth[known, column])
        assert fitted.targets[column] == alone


def test_a_target_that_nobody_knows_gets_the_mean() -> None:
    drawn = multilabel()
    truth = drawn.truth.copy()
    truth[:, 1] = np.nan
    fitted = Panel(drawn.members, truth).fit()
    assert fitted.targets[1].rung == "mean"
    assert fitted.targets[0] == drawn.fit().targets[0]


def test_a_ladder_is_the_same_after_it_was_written_down() -> None:
    import json

    for drawn in (multilabel(), panel("bent", 0, 300)):
        fitted = drawn.fit()
        again = Ladder.from_plain(json.loads(json.dumps(fitted.to_plain())))
        assert again == fitted
        assert np.array_equal(again.combine(drawn.members), fitted.combine(drawn.members))
