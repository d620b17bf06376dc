"""Time bootstrap and DeLong against plain loops, and measure by simulation how often an interval covers the truth.

Run: python benchmarks/evaluate.py [--quick]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from homeostat.evaluate import bootstrap, delong, weighted
from homeostat.evaluate.score import MINIMUM_EVENTS

PATIENTS, RESAMPLES, PREVALENCE, DISTANCE = 4_000, 2_000, 0.14, 1.6


def patients(n: int, seed: int, distance: float = DISTANCE) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and scores of n patients; the true AUROC is Phi(distance / sqrt 2)."""
    random = np.random.default_rng(seed)
    truth = (random.random(n) < PREVALENCE).astype(float)
    return truth, random.normal(size=n) + distance * truth


SHAPES: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "normal": lambda random, truth: random.normal(size=len(truth)),
    "t, 3 degrees": lambda random, truth: random.standard_t(3, len(truth)),
    "exponential": lambda random, truth: random.exponential(size=len(truth)),
    "unequal": lambda random, truth: random.normal(size=len(truth)) * (1 + 0.6 * truth),
}
"""Scores around the mean of their class."""


def shaped(
    n: int, seed: int, shape: str, distance: float, prevalence: float
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng([seed, n])
    truth = (random.random(n) < prevalence).astype(float)
    return truth, SHAPES[shape](random, truth) + distance * truth


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def loop(truth: np.ndarray, score: np.ndarray, peer: Callable[..., float], resamples: int) -> list[float]:
    """Copy the rows of each resample and call scikit-learn, as the script of a paper does."""
    random = np.random.default_rng(0)
    values = []
    for _ in range(resamples):
        rows = random.integers(0, len(truth), len(truth))
        if 0 < truth[rows].sum() < len(rows):
            values.append(float(peer(truth[rows], score[rows])))
    return values


def slow_delong(truth: np.ndarray, score: np.ndarray) -> float:
    """The definition, O(n1 n0)."""
    wins = (np.sign(score[truth == 1][:, None] - score[truth == 0][None, :]) + 1) / 2
    n1, n0 = wins.shape
    return float(wins.mean(axis=1).var(ddof=1) / n1 + wins.mean(axis=0).var(ddof=1) / n0)


def speed(quick: bool) -> None:
    truth, score = patients(PATIENTS, 0)
    peers = {"auroc": (weighted.auroc, roc_auc_score), "auprc": (weighted.auprc, average_precision_score)}
    print(f"{RESAMPLES:,} resamples of {PATIENTS:,} patients, one thread")
    tried = 50 if quick else 200
    for name, (ours, peer) in peers.items():
        statistic = ours(truth, score)
        mine = seconds(lambda s=statistic, n=name: bootstrap.resample(np.arange(PATIENTS), {n: s}))
        theirs = seconds(lambda p=peer: loop(truth, score, p, tried), 3) * RESAMPLES / tried
        se = bootstrap.resample(np.arange(PATIENTS), {name: statistic})[name].std()
        again = np.std(loop(truth, score, peer, tried * 4))
        print(
            f"  {name}: {mine:.2f} s against {theirs:.1f} s in a scikit-learn loop (from {tried}): {theirs / mine:.0f}x"
        )
        print(f"         standard errors {se:.5f} and {again:.5f}")
    three, statistic = np.arange(PATIENTS) // 3, weighted.auroc(truth, score)
    mine = seconds(lambda: bootstrap.resample(three, {"auroc": statistic}))
    print(f"  auroc, three rows per patient: {mine:.2f} s")
    truth, score = patients(20_000, 1)
    mine = seconds(lambda: delong.auroc(truth, score[None], np.arange(20_000)))
    theirs = seconds(lambda: slow_delong(truth, score), 3)
    same = (
        delong.auroc(truth, score[None], np.arange(20_000)).covariance[0, 0] / slow_delong(truth, score) - 1
    )
    print(
        f"DeLong of 20,000: {1e3 * mine:.0f} ms against {1e3 * theirs:.0f} ms by definition: {theirs / mine:.0f}x"
    )
    print(f"  relative difference of the variances {same:.0e}")


def honesty(quick: bool) -> None:
    """Share of simulated samples whose 95 % interval holds the truth."""
    samples = 300 if quick else 2_000
    error = 100 * np.sqrt(0.95 * 0.05 / samples)
    print(f"Coverage of 95 % intervals, {samples:,} samples each (standard error {error:.1f} %)")
    print(
        "DeLong: on the logit scale with t (ours), and plain. Last two: every row three times, by row and by subject."
    )
    print("     n       AUROC    ours     plain   bootstrap  by row  by subject")
    for n, distance in ((100, 1.0), (300, 1.6), (1_000, 1.6), (300, 2.8)):
        true = float(stats.norm.cdf(distance / np.sqrt(2)))
        covered = np.zeros(5)
        for seed in range(samples):
            truth, score = patients(n, seed, distance)
            if not 1 < truth.sum() < n - 1:
                continue
            covered += _covered(truth, score, true, seed)
        shares = "  ".join(f"{100 * share / samples:5.1f} %" for share in covered)
        print(f"{n:6,}  {true:10.3f}  {shares}", flush=True)


def edges(quick: bool) -> None:
    """The same where intervals have a hard time: few positives, other distributions, areas near 1."""
    samples = 150 if quick else 1_000
    print(
        f"Coverage with few positives, {samples:,} samples each; average precision on the logit scale (ours)"
    )
    print("shape          n  positives   true AP   ours    AUROC   ours")
    for shape in SHAPES:
        for positives, prevalence, distance in (
            (20, 0.14, 1.2), (20, 0.03, 1.8), (40, 0.14, 1.2), (100, 0.14, 1.6), (40, 0.14, 3.0), (100, 0.14, 3.0),
        ):  # fmt: skip
            n = round(positives / prevalence)
            truth, score = shaped(400_000, 0, shape, distance, prevalence)
            whole = weighted.auprc(truth, score), weighted.auroc(truth, score)
            true = [weighted.value(statistic, len(truth)) for statistic in whole]
            hits = [
                _edge(*shaped(n, seed, shape, distance, prevalence), true, seed) for seed in range(samples)
            ]
            ap, area = 100 * np.mean([hit for hit in hits if hit is not None], axis=0)
            print(
                f"{shape:12} {n:4,} {positives:10} {true[0]:9.3f} {ap:6.1f} % {true[1]:7.3f} {area:6.1f} %",
                flush=True,
            )


def _edge(truth: np.ndarray, score: np.ndarray, true: list[float], seed: int) -> list[bool] | None:
    """Whether either interval holds the truth; None for a sample whose scores are not estimable."""
    n, positives = len(truth), int(truth.sum())
    if positives < MINIMUM_EVENTS:
        return None
    statistic = weighted.auprc(truth, score)
    drawn = bootstrap.resample(np.arange(n), {"ap": statistic}, resamples=300, seed=seed)["ap"]
    ap = bootstrap.on_logit_scale(drawn, weighted.value(statistic, n), degrees=positives - 1)
    low, high = delong.interval(delong.auroc(truth, score[None], np.arange(n)), truth)
    holds = ap.low is not None and ap.high is not None and ap.low <= true[0] <= ap.high
    return [holds, low <= true[1] <= high]


def _covered(truth: np.ndarray, score: np.ndarray, true: float, seed: int) -> list[bool]:
    n = len(truth)
    areas = delong.auroc(truth, score[None], np.arange(n))
    low, high = delong.interval(areas, truth)
    reach = 1.96 * np.sqrt(areas.covariance[0, 0])
    drawn = bootstrap.resample(np.arange(n), {"a": weighted.auroc(truth, score)}, resamples=500, seed=seed)[
        "a"
    ]
    boot = bootstrap.percentile(drawn, subjects=n)
    rows = np.repeat(np.arange(n), 3)
    tripled, jitter = truth[rows], score[rows] + 0.02 * np.random.default_rng(seed).normal(size=3 * n)
    by_row, by_subject = (
        delong.interval(delong.auroc(tripled, jitter[None], who), tripled) for who in (np.arange(3 * n), rows)
    )
    return [
        low <= true <= high,
        abs(areas.value[0] - true) <= reach,
        bool(boot.low is not None and boot.high is not None and boot.low <= true <= boot.high),
        by_row[0] <= true <= by_row[1],
        by_subject[0] <= true <= by_subject[1],
    ]


if __name__ == "__main__":
    is_quick = "--quick" in sys.argv
    speed(is_quick)
    honesty(is_quick)
    edges(is_quick)
