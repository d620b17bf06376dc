"""Laws of learning from tracks: padding never counts, draws are addressed, few samples can be learnt by heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from homeostat.data.splits import Splits
from homeostat.engine.fit import fit
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.methods.method import Lesson
from homeostat.recipes.battery.config import Config, ModelConfig
from homeostat.recipes.battery.health import window
from homeostat.recipes.battery.inputs import Cells
from homeostat.recipes.battery.learn import (
    Drawer,
    loss,
    make_task,
    predict,
    remedies,
    rmse_per_cell,
    scale_of,
)
from homeostat.recipes.battery.model import NeuralODEModel
from homeostat.recipes.battery.scaled import LATENT_ODE, LSTM, NETWORKS, build
from homeostat.recipes.battery.track import batch_of, whole
from homeostat.recipes.battery.view import View
from homeostat.run import create

SMALL = ModelConfig(latent_dim=4, hidden_dim=8)


def track(cell: str, steps: int):
    draw = np.random.default_rng(len(cell) + steps)
    inputs = draw.normal(5, 2, (steps, 2))
    return whole(cell, np.cumsum(draw.uniform(1, 3, steps)), inputs, 0.8 + 0.02 * inputs[:, 0])


TRACKS = [track("A", 9), track("BB", 14), track("CCC", 20)]


def lesson_of(tracks, draw, noise: float):
    """All tracks are learnt from."""
    names = tuple(one.cell for one in tracks)
    cells = Cells(tracks=tuple(tracks), names=("a", "b"), target="soh", unit="days", groups=names)
    view = View(cells=cells, draw=draw, columns={"soh": lambda one: one}, reach=6, noise=noise)
    splits = Splits(train=names, valid=(), test=(), by="cell", fingerprint="")
    return Lesson(data=view, splits=splits, seed=3)


LESSON = lesson_of(TRACKS, window(6), noise=0.1)


def network(kind: str = LATENT_ODE):
    torch.manual_seed(0)
    return build(kind, SMALL, 2, relative=False, reach=6).fit_scale(scale_of(LESSON))


@pytest.mark.parametrize("kind", NETWORKS)
def test_padding_never_counts(kind):
    model = network(kind)
    tight, wide = batch_of(TRACKS), batch_of(TRACKS, width=50)
    spoiled = replace(wide, x=torch.where(wide.valid[..., None], wide.x, float("nan")))
    losses = [loss(model, batch) for batch in (tight, wide, spoiled)]
    torch.testing.assert_close(losses[0].total, losses[1].total)
    torch.testing.assert_close(losses[1].total, losses[2].total)
    assert losses[0].count == losses[1].count == len(TRACKS)


def test_the_loss_of_a_batch_is_the_mean_of_its_tracks():
    model = network()
    each = [float(loss(model, batch_of([one])).total.detach()) for one in TRACKS]
    assert float(loss(model, batch_of(TRACKS)).total.detach()) == pytest.approx(np.mean(each), rel=1e-5)


def test_a_step_without_a_target_changes_nothing_but_its_own_score():
    model = network()
    target = TRACKS[2].target.copy()
    target[5] = np.nan
    unknown = whole("CCC", TRACKS[2].time, TRACKS[2].inputs, target)
    assert not unknown.scored[5]
    np.testing.assert_array_equal(predict(model, [unknown])[0], predict(model, [TRACKS[2]])[0])


def test_a_cell_is_predicted_the_same_alone_and_in_company():
    model = network()
    for one, output in zip(TRACKS, predict(model, TRACKS), strict=True):
        np.testing.assert_allclose(predict(model, [one])[0], output, atol=1e-5)


def test_draws_depend_on_seed_epoch_and_sample_alone():
    drawer = Drawer(LESSON.data, TRACKS, scale_of(LESSON), seed=3)
    rows = np.array([4, 0, 7])
    first = drawer.augment(drawer.gather(rows), 2)
    drawer.augment(drawer.gather(np.arange(20)), 5)
    again = drawer.augment(drawer.gather(rows[::-1].copy()), 2)
    torch.testing.assert_close(first.x[0], again.x[2], equal_nan=True)
    torch.testing.assert_close(first.t[1], again.t[1])
    other_epoch = drawer.augment(drawer.gather(rows), 3)
    assert not torch.equal(first.x, other_epoch.x)


def test_a_batch_is_drawn_once_and_equals_the_augmented_one():
    drawn = 0

    def counted(track, random):
        nonlocal drawn
        drawn += 1
        return LESSON.data.draw(track, random)

    lesson = replace(LESSON, data=replace(LESSON.data, draw=counted))
    batches = make_task(Config(), LATENT_ODE, lesson).batches
    rows = np.array([4, 0, 7])
    batch = batches.batch(rows, 2)
    assert drawn == len(rows)
    assert batches.augment is not None
    expected = batches.augment(batches.gather(rows), 2)
    for name, value in vars(expected).items():
        assert torch.equal(value.nan_to_num(), getattr(batch, name).nan_to_num()), name


def test_scaling_is_fitted_on_training_tracks_and_travels_with_the_weights():
    model = network()
    weights = model.state_dict()
    values = np.concatenate([one.inputs for one in TRACKS])
    np.testing.assert_allclose(weights["x_shift"], values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(weights["x_scale"], values.std(axis=0), rtol=1e-6)


def test_a_missing_input_is_its_training_mean():
    model = network()
    missing, mean = TRACKS[1].inputs.copy(), TRACKS[1].inputs.copy()
    missing[4, 1] = np.nan
    mean[4, 1] = float(model.x_shift[1])
    outputs = [
        predict(model, [whole("BB", TRACKS[1].time, inputs, TRACKS[1].target)])[0]
        for inputs in (missing, mean)
    ]
    np.testing.assert_allclose(*outputs, atol=1e-5)


def test_error_is_averaged_over_cells_not_rows():
    outputs = [one.target + error for one, error in zip(TRACKS, (0.01, 0.02, 0.06), strict=True)]
    assert rmse_per_cell(TRACKS, outputs) == pytest.approx(0.03)


def test_the_yard_stick_network_can_learn_eight_samples_by_heart(tmp_path):
    draw = np.random.default_rng(0)
    eight = [whole(str(k), np.arange(5.0), draw.normal(size=(5, 2)), draw.normal(size=5)) for k in range(8)]
    lesson = lesson_of(eight, lambda one, _: one, noise=0.0)
    settings = Settings(
        epochs=250,
        device="cpu",
        evaluate_every=250,
        optim=OptimConfig(learning_rate=2e-2, clip=1.0, weight_decay=0.0),
        schedule=ScheduleConfig(schedule="cosine"),
    )
    config = Config(
        batch_size=8, windows_per_epoch=8, model=ModelConfig(latent_dim=16, hidden_dim=64), fit=settings
    )
    state = fit(make_task(config, LSTM, lesson), settings, create(tmp_path / "run", {}))
    assert rmse_per_cell(eight, predict(state.best_model(), eight)) < 0.1


def test_a_stiff_field_can_be_loosened_and_solved_otherwise():
    adaptive = NeuralODEModel(2, 4, 8, solver="dopri5", rtol=1e-3)
    able = remedies(adaptive)
    able["loosen_tolerance"](5.0)
    able["change_solver"](1.0)
    assert (adaptive.solver, adaptive.rtol, adaptive.atol) == ("bosh3", 5e-3, pytest.approx(5e-6))
    able["loosen_tolerance"](1e6)
    assert adaptive.rtol == adaptive.atol == 1e-2
    assert remedies(NeuralODEModel(2, 4, 8, solver="rk4")) == {}
