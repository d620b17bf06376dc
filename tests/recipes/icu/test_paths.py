"""Laws of the drawn paths: a course from admission to the end, and every observation in the units of the chart."""

import re

import numpy as np
import pytest
import torch

from homeostat.data.ragged import flat_index
from homeostat.evaluate import predictions
from homeostat.recipes.icu import training
from homeostat.recipes.icu.config import smoke
from homeostat.recipes.icu.paths import courses, paths
from homeostat.recipes.icu.view import scales
from homeostat.report.collect import collect
from homeostat.report.courses import courses as courses_of
from homeostat.report.courses import observed


@pytest.fixture
def network(stays):
    return training.prepared("latent-ode", smoke(), stays, np.arange(160)).eval()


def test_a_run_leaves_courses_that_its_report_draws(trained):
    drawn = predictions.read(trained.predictions / "curves" / "valid.parquet")
    assert drawn.kind == "regression"
    assert drawn.names == ("HR (1/min)", "NIMAP (mmHg)", "GCS (points)")
    figures = observed(collect(trained.folder).curves[0])
    assert [len(own) for own in figures.values()] == [3, 3, 3, 3]
    assert "observations" in next(iter(figures.values()))[0].reading


def test_the_report_says_risk_outcome_and_ward_of_each_stay(trained):
    """Two who survived and two who died, the first of each, whoever they are."""
    outcomes = re.findall(r'<p class="facts">(.*?)</p>', courses_of(collect(trained.folder)))
    assert len(outcomes) == 4
    assert [("outcome: death" in facts, "outcome: no death" in facts) for facts in outcomes] == [
        (False, True),
        (False, True),
        (True, False),
        (True, False),
    ]
    assert all(re.match(r"Predicted risk of death: 0\.\d+", facts) for facts in outcomes)
    assert all("unit: " in facts and "age: " in facts for facts in outcomes)


def test_every_observation_is_shown_in_its_units(network, trained, stays, store):
    drawn = paths(network, stays, np.array([3]), scales(trained)[0], "valid")
    cells = flat_index(store.ragged("value").offsets, np.array([3]))
    rates = store["value"][cells][store["variable"][cells] == store.meta["variables"].index("HR")]
    shown = drawn.targets[:, drawn.names.index("HR (1/min)")]
    assert np.sort(shown[np.isfinite(shown)]) == pytest.approx(np.sort(rates), abs=1.5)
    assert set(np.arange(0, 48.5, 0.5)) <= set(np.round(drawn.time, 4))


def test_a_course_is_the_same_at_observed_and_at_even_times(network, stays):
    batch = stays.gather(np.array([3, 40]))
    seen, even = courses(network, batch)
    assert even.shape == (2, 97, stays.variables)
    first = batch.moments[0][batch.real[0]].numpy() * 96
    between = np.array([np.interp(first, np.arange(97), even[0, :, k]) for k in range(stays.variables)]).T
    assert seen[: len(first)] == pytest.approx(between, abs=0.01)


def test_a_stay_is_drawn_the_same_in_any_company(network, stays):
    alone = courses(network, stays.gather(np.array([40])))[1]
    together = courses(network, stays.gather(np.array([3, 40, 7])))[1]
    assert torch.from_numpy(together[1]).allclose(torch.from_numpy(alone[0]), atol=1e-5)
