"""Laws of learning from volumes: eight can be learnt by heart, classes are balanced openly, mixing is addressed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from homeostat.engine.fit import fit
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.errors import DataError
from homeostat.recipes.cell import learn
from homeostat.recipes.cell.augment import AugmentConfig
from homeostat.recipes.cell.learn import Rows
from homeostat.recipes.cell.model import NetworkConfig
from homeostat.run import create

NO_CHANGE = AugmentConfig(symmetries="none", rotation_deg=0, zoom=0, shift=0, time_shift=0, gain=0)


@pytest.fixture
def rows(store) -> Rows:
    every = np.arange(len(store["volume"]))
    return Rows(store=store, train=every[:64], valid=every[64:])


def test_eight_volumes_can_be_learnt_by_heart(store, config, tmp_path):
    label = np.asarray(store["label"])
    eight = np.concatenate([np.flatnonzero(label == value)[:4] for value in (0, 1)])
    settings = Settings(
        epochs=80,
        device="cpu",
        evaluate_every=80,
        optim=OptimConfig(learning_rate=5e-3, weight_decay=0.0, clip=1.0),
        schedule=ScheduleConfig(schedule="cosine"),
    )
    plain = replace(
        config,
        batch_size=8,
        augment=NO_CHANGE,
        fit=settings,
        model=NetworkConfig(network="tiny", channel_dropout=0.0, head_dropout=0.0),
    )
    task = learn.make_task(plain, Rows(store=store, train=eight, valid=eight), seed=0)
    state = fit(task, settings, create(tmp_path / "run", {}))
    answers = learn.probabilities(state.best_model(), store, eight, 1)
    assert np.abs(answers - label[eight]).max() < 0.1


def test_balancing_shows_both_classes_equally_often_and_loses_nobody(rows, config):
    shown = learn.places(replace(config, balance=True), rows)
    label = rows.store["label"]
    assert label[shown].mean() == pytest.approx(0.5)
    assert set(shown.tolist()) == set(rows.train.tolist())
    model = learn.make_task(replace(config, balance=True), rows, 0).model
    assert model.priors.tolist() == pytest.approx([0.5, label[rows.train].mean()])


def test_mixed_samples_are_between_two_samples_and_so_are_their_losses(rows, config):
    still = replace(NO_CHANGE, equalise=False)
    mixing = replace(config, augment=replace(still, mixup=1.0, mixup_share=1.0))
    task = learn.make_task(mixing, rows, seed=0)
    batch = task.batches.batch(np.array([3, 8]), 1)
    own = learn.voxels_of(rows.store, rows.train[[3, 8]])
    others = (batch.volume - batch.share[:, None, None, None, None] * own) / (1 - batch.share)[
        :, None, None, None, None
    ]
    torch.testing.assert_close(others, others.round(), atol=1e-3, rtol=0)
    model = task.model.eval()
    parts = [
        learn.loss(model, replace(batch, label=label, share=None, partner_label=None), 0.0).total
        for label in (batch.label, batch.partner_label)
    ]
    alone = replace(batch, share=torch.full((2,), 0.3))
    torch.testing.assert_close(learn.loss(model, alone, 0.0).total, 0.3 * parts[0] + 0.7 * parts[1])


def test_a_batch_depends_on_seed_epoch_and_sample_alone(rows, config):
    mixing = replace(config, augment=AugmentConfig(mixup=0.4))
    batches = learn.make_task(mixing, rows, seed=0).batches
    twelve, two = batches.batch(np.arange(12), 5), batches.batch(np.array([7, 2]), 5)
    for name in ("volume", "label", "partner_label", "share"):
        torch.testing.assert_close(vars(two)[name], vars(twelve)[name][[7, 2]], rtol=0, atol=0)


def test_smoothing_is_in_the_loss_and_never_in_what_is_scored(rows, config):
    task = learn.make_task(replace(config, augment=NO_CHANGE), rows, seed=0)
    batch = task.batches.batch(np.arange(16), 0)
    model = task.model.eval()
    plain, smooth = (learn.loss(model, batch, smoothing=a) for a in (0.0, 0.5))
    assert plain.terms["bce"] == smooth.terms["bce"] == plain.total
    assert smooth.total != plain.total


def test_a_part_without_both_classes_is_refused(store):
    label = np.asarray(store["label"])
    rows = np.arange(len(label))
    with pytest.raises(DataError, match="Validation .* must hold both classes"):
        Rows(store=store, train=rows, valid=np.flatnonzero(label == 1))


def test_perfect_and_useless_outputs_have_the_scores_that_they_deserve():
    truth = np.array([0.0, 0, 0, 1])
    perfect = learn.scores(truth, truth)
    assert perfect["valid/auroc"] == perfect["valid/precision"] == perfect["valid/recall"] == 1
    useless = learn.scores(truth, np.full(4, 0.9))
    assert useless["valid/auroc"] == 0.5
    assert useless["valid/precision"] == useless["valid/prevalence"] == 0.25
