"""Laws of the statistics: they are what numpy says, and a stay's own are the same in any batch."""

import numpy as np
import pytest
import torch

from homeostat.recipes.icu.cohort import HOURS
from homeostat.recipes.icu.summary import BASIC, MEMORY_H, QUARTERS, Summary, quarters, statistics, width


def one(stays, row, variable):
    own = slice(stays.offsets[row], stays.offsets[row + 1])
    chosen = stays.variable[own] == variable
    return stays.time[own][chosen].astype(float), stays.value[own][chosen].astype(float)


def test_statistics_are_those_of_numpy(stays):
    rows = np.arange(12)
    computed = statistics(stays.gather(rows), stays.variables)
    for row in rows:
        for variable in range(stays.variables):
            time, value = one(stays, row, variable)
            own = dict(zip(BASIC, computed[row, variable].tolist(), strict=False))
            if len(value) == 0:
                assert own["seen"] == own["mean"] == 0
                assert own["gap_before"] == own["gap_after"] == 1
                continue
            expected = {
                "count": np.log1p(len(value)),
                "seen": 1,
                "mean": value.mean(),
                "spread": value.std(),
                "min": value.min(),
                "max": value.max(),
                "first": value[0],
                "last": value[-1],
                "gap_before": time[0],
                "gap_after": 1 - time[-1],
            }
            assert {name: own[name] for name in expected} == pytest.approx(expected, abs=2e-5)


def test_a_memory_forgets_what_is_long_ago(stays):
    computed = statistics(stays.gather(np.arange(12)), stays.variables)
    for row in range(12):
        for variable in range(stays.variables):
            time, value = one(stays, row, variable)
            for place, hours in enumerate(MEMORY_H):
                weight = np.exp(-(1 - time) * HOURS / hours)
                mean = (weight * value).sum() / (weight.sum() + 1e-3)
                assert computed[row, variable, len(BASIC) + 2 * place].item() == pytest.approx(mean, abs=1e-4)


def test_a_slope_counts_by_the_observations_it_rests_on(stays):
    computed = statistics(stays.gather(np.arange(12)), stays.variables)[..., BASIC.index("slope")]
    pairs = ((row, variable) for row in range(12) for variable in range(stays.variables))
    row, variable = next(pair for pair in pairs if len(one(stays, *pair)[0]) >= 3)
    time, value = one(stays, row, variable)
    centred = time - time.mean()
    expected = (centred * (value - value.mean())).sum() / ((centred**2).mean() + 1e-4)
    assert computed[row, variable].item() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_scale_is_that_of_the_stays_it_was_fitted_on(stays):
    summary = Summary(stays.variables)
    batch = stays.gather(np.arange(100))
    summary.fit([stays.gather(np.arange(50)), stays.gather(np.arange(50, 100))])
    scaled = summary(batch)
    assert scaled.shape == (100, width(stays.variables))
    seen = statistics(batch, stays.variables)[..., BASIC.index("seen")] > 0
    means = scaled.view(100, stays.variables, -1)[..., BASIC.index("mean")]
    often = seen.float().mean(0) > 0.9
    assert torch.where(seen, means, 0).sum(0)[often].abs().max() / 100 < 0.1
    assert (means[~seen] == 0).all()


def test_a_stay_without_observations_has_statistics(stays):
    batch = stays.gather(np.arange(3))
    from dataclasses import replace

    empty = replace(batch, seen=torch.zeros_like(batch.seen))
    computed = statistics(empty, stays.variables)
    assert computed.isfinite().all()
    assert (computed[..., BASIC.index("seen")] == 0).all()


def test_quarters_are_means_of_twelve_hours(stays):
    mean, seen = quarters(stays.gather(np.arange(12)), stays.variables)
    for row in range(12):
        for variable in range(stays.variables):
            time, value = one(stays, row, variable)
            for quarter in range(QUARTERS):
                inside = np.minimum((time * QUARTERS).astype(int), QUARTERS - 1) == quarter
                place = row * stays.variables + variable
                assert seen[place, quarter].item() == inside.any()
                expected = value[inside].mean() if inside.any() else 0.0
                assert mean[place, quarter].item() == pytest.approx(expected, abs=2e-5)
