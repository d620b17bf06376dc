"""Predictions whose truth is known, because they were simulated."""

import numpy as np
import pytest
from scipy import special

from homeostat.evaluate.predictions import Predictions


@pytest.fixture
def ward():
    """Calibrated risks of n patients, `per` rows each, blurred by `noise`: a factory of binary predictions."""

    def make(n=400, *, seed=0, noise=0.0, sharpen=1.0, per=1, split="test", truth_seed=None, **meta):
        truth = np.random.default_rng(truth_seed if truth_seed is not None else seed)
        x = np.repeat(truth.normal(size=n // per) * 1.5 - 1.5, per)
        y = truth.random(len(x)) < special.expit(x)
        blur = np.random.default_rng([seed, 1]).normal(size=len(x)) * noise
        groups = {"sex": truth.choice(["female", "male"], len(x))}
        return Predictions.build(
            "binary",
            split,
            ids=np.arange(len(x)),
            subjects=np.arange(len(x)) // per,
            targets=y,
            outputs=special.expit(sharpen * (x + blur)),
            groups=groups,
            **meta,
        )

    return make


@pytest.fixture
def cells():
    """Fading capacities of some cells over time and a prediction that is `off`: a factory of trajectories."""

    def make(n=30, *, seed=0, off=0.02, points=40, split="test", **meta):
        random = np.random.default_rng(seed)
        time = np.tile(np.linspace(0, 100, points), n)
        subject = np.repeat(np.arange(n), points)
        rate = np.repeat(random.uniform(0.001, 0.003, n), points)
        truth = 1 - rate * time
        drift = np.repeat(random.normal(size=n) * off, points) * time / 100
        return Predictions.build(
            "regression",
            split,
            ids=[f"{s}:{t:.0f}" for s, t in zip(subject, time, strict=True)],
            subjects=[f"cell {s:02d}" for s in subject],
            targets=truth,
            outputs=truth + drift + random.normal(size=len(truth)) * off / 4,
            time=time,
            names=("soh",),
            **({"time_unit": "days"} | meta),
        )

    return make
