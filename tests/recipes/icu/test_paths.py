"""Laws of the drawn paths: they show what was hidden from the encoder, in the units of the chart."""

import numpy as np
import pytest

from homeostat.data.ragged import flat_index
from homeostat.evaluate import predictions
from homeostat.recipes.icu import training
from homeostat.recipes.icu.paths import paths
from homeostat.recipes.icu.recipe import curves_file, smoke


def test_a_run_leaves_paths_of_some_stays(trained):
    made = predictions.read(trained.child("paths").predictions / "valid.parquet")
    assert made.kind == "regression"
    assert made.names == ("HR", "NIMAP", "GCS")
    assert len(set(made.subjects)) > 30
    assert 0 <= made.time.min() <= made.time.max() <= 48


def test_hidden_values_come_back_in_their_units(trained, stays, store):
    from homeostat.recipes.icu.curves import Curves

    network = training.prepared("latent-ode", smoke(), stays, np.arange(160)).eval()
    made = paths(network, stays, np.array([3]), Curves.load(curves_file(trained)), "valid")
    assert made is not None
    cells = flat_index(store.ragged("value").offsets, np.array([3]))
    rates = store["value"][cells][store["variable"][cells] == store.meta["variables"].index("HR")]
    shown = made.targets[:, 0][np.isfinite(made.targets[:, 0])]
    assert 0 < len(shown) < len(rates)
    for value in shown:
        assert np.abs(rates - value).min() == pytest.approx(0, abs=1.5)
