"""Laws of a forecast: it starts at the last value seen, and nothing behind the cut reaches it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from homeostat.errors import DataError
from homeostat.recipes.battery import forecast
from homeostat.recipes.battery.config import ModelConfig
from homeostat.recipes.battery.learn import predict
from homeostat.recipes.battery.scaled import NETWORKS, Scale, build
from homeostat.recipes.battery.track import whole


def life(cell: str = "A", steps: int = 60):
    time = np.arange(float(steps))
    health = 1 - 0.004 * time
    return whole(cell, time, np.column_stack([health, np.full(steps, 24.0), np.full(steps, 0.2)]), health)


def untrained(kind: str):
    torch.manual_seed(0)
    cells = [life("A"), life("B", 40)]
    model = build(kind, ModelConfig(latent_dim=4, hidden_dim=8), 3, relative=True, reach=16)
    return model.fit_scale(Scale(cells, ("soh", "ambient_c", "rest"), relative=True))


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_the_cut_lies_at_the_share_and_every_later_step_is_forecast(share):
    track = life()
    cut = forecast.seen_until(track, share)
    first = math.ceil(share * len(track))
    assert cut.steps[~cut.seen].tolist() == list(range(first + 1, len(track) + 1))
    assert cut.base == track.target[first - 1]
    assert np.isnan(cut.inputs[~cut.seen]).all()
    assert not cut.scored[cut.seen].any()


@pytest.mark.parametrize("kind", NETWORKS)
def test_nothing_behind_the_cut_reaches_the_forecast(kind):
    track, model = life(), untrained(kind)
    spoiled = replace(
        track,
        inputs=np.where(np.arange(60)[:, None] < 18, track.inputs, 1e3),
        target=np.where(np.arange(60) < 18, track.target, -5.0),
    )
    one, other = (predict(model, [forecast.seen_until(each, 0.3)])[0] for each in (track, spoiled))
    np.testing.assert_array_equal(one, other)


def test_trees_read_nothing_behind_the_cut_either():
    track = life()
    spoiled = replace(track, target=np.where(np.arange(60) < 18, track.target, -5.0))
    one, other = (forecast.tree_inputs(forecast.seen_until(each, 0.3)) for each in (track, spoiled))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_forecast_starts_at_the_last_value_seen(kind):
    cut = forecast.seen_until(life(), 0.5)
    output = predict(untrained(kind), [cut])[0]
    assert output[cut.seen][-1] == pytest.approx(cut.base, abs=1e-6)


def test_training_pieces_are_cut_within_the_declared_range():
    track = life()
    for seed in range(30):
        piece = forecast.draw_piece(track, np.random.default_rng(seed))
        last = piece.steps[piece.seen][-1]
        assert forecast.CUT_FROM * 60 - 1 <= last <= forecast.CUT_TO * 60 + 1
        assert piece.steps[~piece.seen][0] > last
        assert (np.diff(piece.time) > 0).all()
        assert piece.base == track.target[last - 1]


def test_new_data_are_forecast_from_their_last_known_target():
    target = life().target.copy()
    target[40:] = np.nan
    track = replace(life(), target=target, seen=np.isfinite(target), scored=np.isfinite(target))
    cut = forecast.from_now(track)
    assert cut.steps[~cut.seen].tolist() == list(range(41, 61))
    with pytest.raises(DataError, match="Cell A has a target at its last step"):
        forecast.from_now(life())
