"""Laws of the recipe: every donor is tested by networks that never saw it, and its scores tell each donor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from homeostat.data.splits import Splits
from homeostat.errors import DataError
from homeostat.evaluate import predictions
from homeostat.recipes.cell import learn
from homeostat.recipes.cell.cohort import Volumes, protocol_of
from homeostat.recipes.cell.config import Config
from homeostat.recipes.cell.pictures import planes
from homeostat.recipes.cell.recipe import corrected, recipe
from homeostat.report.collect import collect
from homeostat.run import create


def files(run):
    return {file.name: predictions.read(file) for file in sorted(run.predictions.glob("*.parquet"))}


def test_each_held_out_donor_is_tested_by_networks_that_never_saw_it(trained, store):
    answers = files(trained)
    assert set(answers) == {
        f"{part}{end}.parquet" for part in ("valid", "test") for end in ("", "-plain-measures")
    }
    donors = dict(zip(map(str, store["volume"]), map(str, store["group"]), strict=True))
    assert {donors[one] for one in answers["test.parquet"].ids} == {"D1", "D5"}
    for child in trained.children():
        split = Splits.load(child.splits_file)
        donor = child.name.split(".")[0]
        assert {donors[one] for one in split.test} == {donor}
        assert donor not in {donors[one] for one in (*split.train, *split.valid)}
    assert {child.name for child in trained.children()} == {
        f"{d}.resnet3d.{s}" for d in ("D1", "D5") for s in (0, 1)
    }


def test_the_prediction_is_the_mean_of_the_seeds(trained):
    parts = [
        predictions.read(trained.child(f"D1.resnet3d.{seed}").predictions / "test.parquet") for seed in (0, 1)
    ]
    whole = files(trained)["test.parquet"]
    chosen = np.isin(whole.ids, parts[0].ids)
    np.testing.assert_allclose(whole.output[chosen], np.mean([p.output for p in parts], axis=0))


def test_scores_tell_each_donor_each_seed_and_the_trivial_predictor(trained):
    metrics = recipe.scores(trained.folder)
    assert set(metrics["each donor"]["rows"]) == {"D1", "D5"}
    assert set(metrics["each seed"]["rows"]) == {"0", "1"}
    assert metrics["each donor"]["spread"]["mcc"]["n"] == 2
    names = {s["name"]: s for s in metrics["scores"] if s["split"] == "test"}
    for name in ("auroc", "auprc", "mcc", "balanced accuracy", "f1"):
        assert names[name]["trivial"] is not None
    share = metrics["each donor"]["rows"]["D5"]["positives"] / metrics["each donor"]["rows"]["D5"]["n"]
    assert metrics["each donor"]["rows"]["D5"]["all-positive f1"] == pytest.approx(2 * share / (1 + share))


def test_scores_stand_beside_what_is_possible(trained, cohort, caplog):
    with caplog.at_level("INFO", "homeostat"):
        metrics = recipe.scores(trained.folder)["possible"]
    assert set(metrics) == {"everybody", "donor D1", "donor D5", "mean of groups", "sd of groups"}
    truth = pl.read_csv(cohort / "truth.csv")
    for donor in ("D1", "D5"):
        of_donor = truth.filter(pl.col("donor") == donor)
        best = learn.scores(
            of_donor["active"].to_numpy(), 1 / (1 + np.exp(-of_donor["bayes_score"].to_numpy()))
        )
        assert metrics[f"donor {donor}"]["possible"] == pytest.approx(best["valid/auroc"])
    answers = files(trained)["test.parquet"]
    assert metrics["everybody"]["auroc"] == pytest.approx(
        learn.scores(answers.truth, answers.output)["valid/auroc"]
    )
    assert "everybody" in caplog.text
    assert "is possible" in caplog.text


def test_real_volumes_have_no_known_limit(medmnist, tmp_path):
    config = replace(Config(seeds=1, views=1, batch_size=15), fit=replace(Config().fit, epochs=1))
    run = create(tmp_path / "run", {})
    recipe.train(config, run, recipe.prepare(config, medmnist, tmp_path / "stores"))
    assert "possible" not in recipe.scores(run.folder)


def test_predictions_are_moved_from_the_prior_of_training_to_the_expected_one(store, config):
    model = learn.network(config, store, 0).start_at_prior(0.2, 0.2)
    moved = corrected(config, model, np.array([0.2]), "leave-one-out")
    assert moved[0] == pytest.approx(0.5), "donors differ in their prior: the odds are left without one"
    assert corrected(config, model, np.array([0.37]), "folds")[0] == pytest.approx(0.37)
    balanced = model.start_at_prior(0.5, 0.2)
    assert corrected(config, balanced, np.array([0.5]), "folds")[0] == pytest.approx(0.2)


def test_new_volumes_are_predicted_without_labels(trained, cohort, config, tmp_path):
    new = tmp_path / "new" / "isolated_cells_D9"
    new.mkdir(parents=True)
    for number, file in enumerate(sorted((cohort / "isolated_cells_D5").glob("*.npy"))[:3]):
        np.save(new / f"unknown{number}.npy", np.load(file))
    answers = recipe.predict(config, trained, recipe.prepare(config, tmp_path / "new", tmp_path / "stores"))
    assert answers.split == "new"
    assert set(answers.subjects) == {"D9"}
    assert np.isnan(answers.targets).all()
    seen = files(trained)["test.parquet"]
    same = [file.stem for file in sorted((cohort / "isolated_cells_D5").glob("*.npy"))[:3]]
    of_run = [float(seen.output[seen.ids == f"isolated_cells_D5/{name}"][0]) for name in same]
    # The networks of both splits and not of one: near, not equal; without the run's own prior they would be far.
    np.testing.assert_allclose(answers.output, of_run, atol=0.15)


def test_volumes_of_another_kind_are_refused(trained, medmnist, config, tmp_path):
    shapes = recipe.prepare(config, medmnist, tmp_path / "stores")
    with pytest.raises(DataError, match="hold shape volumes; run smoke learnt from photons"):
        recipe.predict(config, trained, shapes)


def test_the_official_split_is_kept_and_tested(medmnist, tmp_path):
    config = replace(Config(seeds=1, views=2, batch_size=15), fit=replace(Config().fit, epochs=2))
    store = recipe.prepare(config, medmnist, tmp_path / "stores")
    run = create(tmp_path / "run", {})
    recipe.train(config, run, store)
    answers = files(run)["test.parquet"]
    assert sorted(answers.ids) == sorted(f"test-{row:05d}" for row in range(30))
    assert set(Splits.load(run.splits_file).test) == set(answers.ids)
    assert recipe.scores(run.folder)["headline"]["split"] == "test"


def test_the_protocol_follows_the_data(store, config):
    assert protocol_of(config, Volumes(store)).name == "leave-one-out"
    dealt = protocol_of(replace(config, folds=3, protocol="folds"), Volumes(store)).splits
    assert list(dealt) == ["fold0", "fold1", "fold2"]
    donors = dict(zip(map(str, store["volume"]), map(str, store["group"]), strict=True))
    for split in dealt.values():
        assert not {donors[one] for one in split.test} & {donors[one] for one in split.train}


def test_only_weights_and_plain_values_are_kept(trained):
    for file in trained.child("D1.resnet3d.0").checkpoints.glob("*.ckpt"):
        torch.load(file, weights_only=True)


@pytest.mark.slow
def test_leave_one_donor_out_reaches_nearly_what_bayes_does(tmp_path):
    config = recipe.preset("demo")
    recipe.simulate(tmp_path / "cells", 1)
    store = recipe.prepare(config, tmp_path / "cells", tmp_path / "stores")
    run = create(tmp_path / "run", {})
    recipe.train(config, run, store)
    metrics = recipe.scores(run.folder)["possible"]
    assert metrics["everybody"]["ratio"] >= 0.95


def test_the_report_shows_volumes_of_both_classes_right_and_wrong(trained, store):
    kept = collect(trained.folder)
    shown = [kept.place(volume.identity) for volume in kept.volumes]
    assert all(place is not None for place in shown)
    truths = [float(p.truth[row]) for p, row in shown]
    assert truths == [0.0] * 4 + [1.0] * 4
    outputs = [float(p.output[row]) for p, row in shown]
    main = kept.main
    assert outputs[3] == main.output[main.truth == 0].max()
    assert outputs[4] == main.output[main.truth == 1].min()
    for volume in kept.volumes:
        place = [str(name) for name in store["volume"]].index(volume.identity)
        light = store["voxels"][place].sum(axis=(0, 1), dtype=float)
        drawn = volume.planes["photons"]
        assert drawn.shape == light.shape
        assert light.flat[drawn.argmax()] == light.max()


def test_other_volumes_show_a_middle_plane_of_each_axis():
    voxels = np.arange(2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
    drawn = planes(voxels, "grey")
    assert [plane.shape for plane in drawn.values()] == [(5, 6), (4, 6), (4, 5)]
    assert np.argmax(drawn["middle of axis 1"]) == voxels[0, 2].argmax()


def test_light_that_comes_late_is_bright():
    voxels = np.zeros((1, 8, 2, 2))
    voxels[0, 1, 0, 0], voxels[0, 6, 0, 1] = 50, 50
    late = planes(voxels, "photons")["mean arrival time"]
    assert late.tolist() == [[0, 255], [0, 0]]
