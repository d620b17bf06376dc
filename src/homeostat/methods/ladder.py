"""Combine members' probabilities by rungs from plain to rich. A richer rung must earn its place out of fold.

Shapes: N rows, M members, K targets. All combinations work on logits, per target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.splits import deal
from homeostat.methods.ensemble import SURE, logit, probability

# Weak: a few inputs and thousands of rows. It keeps two members that always agree from cancelling each other.
PENALTY = 1.0
# The MLP has few hidden units and a strong penalty: it shall only bend what the line gets wrong.
HIDDEN, MLP_PENALTY = 4, 1.0
# Each combination is then fitted to four fifths of the rows, nearly as many as the final one has.
NESTED_FOLDS = 5
# Targets with fewer cases than this have no weights of their own worth fitting: they get the mean.
FEWEST_CASES = 20


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One rung, fitted: logits of the members (N, M) of one target -> one logit (N,)."""

    rung: str
    weights: tuple[tuple[float, ...], ...]
    """Layers of weights; one layer is a line."""
    biases: tuple[tuple[float, ...], ...]

    def apply(self, logits: Array) -> Array:
        """tanh between layers, where there are several."""
        hidden = logits
        for layer, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            matrix = np.asarray(weights).reshape(-1, len(bias))
            hidden = (np.tanh(hidden) if layer else hidden) @ matrix + np.asarray(bias)
        combined: Array = hidden[:, 0]
        return combined


def line(rung: str, weights: Array | Sequence[float], intercept: float = 0.0) -> Combination:
    return Combination(rung=rung, weights=(tuple(map(float, weights)),), biases=((float(intercept),),))


def best(logits: Array, truth: Array) -> Combination:
    """The member with the lowest loss, alone."""
    losses = [loss(logits[:, m], truth).mean() for m in range(logits.shape[1])]
    return line("best", np.eye(len(losses))[int(np.argmin(losses))])


def mean(logits: Array, truth: Array) -> Combination:
    return line("mean", np.full(logits.shape[1], 1 / logits.shape[1]))


def convex(logits: Array, truth: Array) -> Combination:
    """Weights that are not negative and sum to one, of the least cross-entropy."""
    from scipy.optimize import minimize  # slow to load, and most commands fit no stack

    def value(weights: Array) -> tuple[float, Array]:
        combined = logits @ weights
        residual = probability(combined) - truth
        return float(loss(combined, truth).mean()), np.asarray(logits.T @ residual / len(truth))

    members = logits.shape[1]
    solved = minimize(
        value,
        np.full(members, 1 / members),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * members,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
    )
    # SLSQP may end a rounding error outside of its bounds.
    weights = np.clip(solved.x, 0, None)
    return line("convex", weights / weights.sum())


def logistic(logits: Array, truth: Array) -> Combination:
    """A penalised logistic regression with an intercept."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=PENALTY).fit(logits, truth)
    return line("logistic", model.coef_[0].tolist(), float(model.intercept_[0]))


def mlp(logits: Array, truth: Array) -> Combination:
    """A small network with one hidden layer."""
    from sklearn.neural_network import MLPClassifier

    # The penalty is for inputs of order one; certain members have logits of ten.
    spread = np.maximum(np.abs(logits).mean(axis=0), 1.0)
    # random_state: the start decides a little of the result, and two fits must give the same bits.
    model = MLPClassifier(
        (HIDDEN,), activation="tanh", solver="lbfgs", alpha=MLP_PENALTY, max_iter=500, random_state=0
    ).fit(logits / spread, truth)
    first, second = model.coefs_
    # `apply` bends the inputs of its second layer, as the fitted network does; the first layer is a line.
    return Combination(
        rung="mlp",
        weights=(tuple((first / spread[:, None]).ravel().tolist()), tuple(second.ravel().tolist())),
        biases=(tuple(model.intercepts_[0].tolist()), tuple(model.intercepts_[1].tolist())),
    )


RUNGS: Mapping[str, Callable[[Array, Array], Combination]] = {
    "best": best,
    "mean": mean,
    "convex": convex,
    "logistic": logistic,
    "mlp": mlp,
}
"""From plain to rich."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The rung that was chosen, fitted for each target."""

    members: tuple[str, ...]
    rung: str
    targets: tuple[Combination, ...]
    nested: Mapping[str, float]
    """Rung -> its nested out-of-fold cross-entropy."""
    reason: str
    fitted_on: str = "train, out of fold"

    @classmethod
    def fit(cls, members: Mapping[str, Array], truth: Array, subjects: Sequence[str], seed: int) -> Self:
        """`members`: name -> out-of-fold probabilities (N, K); `truth` (N, K), NaN where unknown."""
        stacked = logit(np.stack(list(members.values()), axis=1))  # (N, M, K)
        place = np.array(deal(subjects, subjects, weights=[1 / NESTED_FOLDS] * NESTED_FOLDS, seed=seed))
        nested = {rung: _nested(rung, stacked, truth, place) for rung in RUNGS}
        known = np.isfinite(truth)
        losses = {rung: _per_subject(nested[rung], truth, known, subjects) for rung in RUNGS}
        rung, reason = _climb(losses, {rung: _auroc(nested[rung], truth) for rung in RUNGS})
        return cls(
            members=tuple(members),
            rung=rung,
            targets=tuple(_fitted(rung, stacked[..., k], truth[:, k]) for k in range(truth.shape[1])),
            nested={name: float(np.mean(each)) for name, each in losses.items()},
            reason=reason,
        )

    def combine(self, members: Mapping[str, Array]) -> Array:
        """Probabilities (N, K) of the stack from those of its members."""
        stacked = logit(np.stack([members[name] for name in self.members], axis=1))
        combined = [each.apply(stacked[..., k]) for k, each in enumerate(self.targets)]
        return probability(np.stack(combined, axis=1))

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        targets = tuple(
            Combination(
                rung=each["rung"],
                weights=tuple(map(tuple, each["weights"])),
                biases=tuple(map(tuple, each["biases"])),
            )
            for each in plain["targets"]
        )
        return cls(**{**plain, "members": tuple(plain["members"]), "targets": targets})


def loss(logits: Array, truth: Array) -> Array:
    """Cross-entropy of each row."""
    each: Array = np.logaddexp(0, logits) - truth * logits
    return each


def _fitted(rung: str, logits: Array, truth: Array) -> Combination:
    known = np.isfinite(truth)
    cases = truth[known].sum()
    is_rich = rung not in ("best", "mean")
    if not known.any() or (is_rich and min(cases, known.sum() - cases) < FEWEST_CASES):
        rung = "mean"
    return RUNGS[rung](logits[known], truth[known])


def _nested(rung: str, stacked: Array, truth: Array, place: Array) -> Array:
    """Logits (N, K) of each row, by a combination that was fitted on other subjects.

    The best member is the exception. It is chosen on all rows: no rung may be preferred to the choice of another
    member in every fold, which is worse than the best one.
    """
    combined = np.zeros(truth.shape)
    for fold in range(NESTED_FOLDS):
        held = place == fold
        for k in range(truth.shape[1]):
            # Chosen anew in each fold, "best" was worse than the best member on simulated panels, and a rung could win
            # against it and lose to that member (log/icu.md).
            learnt = np.ones_like(held) if rung == "best" else ~held
            fitted = _fitted(rung, stacked[learnt][..., k], truth[learnt, k])
            combined[held, k] = fitted.apply(stacked[held][..., k])
    # No surer than a member may be: beyond, one wrong row would decide the cross-entropy.
    bound = float(logit(np.array(1.0 - SURE)))
    return np.clip(combined, -bound, bound)


def _per_subject(logits: Array, truth: Array, known: Array, subjects: Sequence[str]) -> Array:
    """The mean loss of each subject over its known entries."""
    entries = np.where(known, loss(logits, np.where(known, truth, 0.0)), 0.0).sum(axis=1)
    _, place = np.unique(np.asarray(subjects), return_inverse=True)
    counts = np.bincount(place, known.sum(axis=1))
    summed = np.bincount(place, entries)
    each: Array = summed[counts > 0] / counts[counts > 0]
    return each


def _climb(losses: Mapping[str, Array], aurocs: Mapping[str, float]) -> tuple[str, str]:
    """Go up while a richer rung lowers the loss by more than one standard error and does not rank worse."""
    chosen = "best"
    for rung in list(RUNGS)[1:]:
        gain = losses[chosen] - losses[rung]
        error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        # One standard error (Breiman et al. 1984): of rungs that cannot be told apart the plainest is taken.
        if gain.mean() > error and aurocs[rung] >= aurocs["best"]:
            chosen = rung
    return chosen, (
        f"nested out of fold its cross-entropy is {losses[chosen].mean():.4f}, the best member's "
        f"{losses['best'].mean():.4f}; a richer rung must gain more than one standard error"
    )


def _auroc(logits: Array, truth: Array) -> float:
    from sklearn.metrics import roc_auc_score

    values = []
    for k in range(truth.shape[1]):
        known = np.isfinite(truth[:, k])
        if len(np.unique(truth[known, k])) == 2:
            values.append(float(roc_auc_score(truth[known, k], logits[known, k])))
    return float(np.mean(values)) if values else 0.5
