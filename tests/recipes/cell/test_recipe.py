"""Laws of the recipe: every donor is tested by networks that never saw it, and a run resumes to the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from homeostat.data.splits import Splits
from homeostat.errors import DataError, Interrupted
from homeostat.evaluate import predictions
from homeostat.recipes.cell import learn, protocol
from homeostat.recipes.cell.config import Config
from homeostat.recipes.cell.recipe import corrected, recipe, train
from homeostat.run import create


def files(run):
    return {file.name: predictions.read(file) for file in sorted(run.predictions.glob("*.parquet"))}


def test_each_held_out_donor_is_tested_by_networks_that_never_saw_it(trained, store):
    made = files(trained)
    assert set(made) == {
        f"{part}{end}.parquet" for part in ("valid", "test") for end in ("", "-plain-measures")
    }
    donors = dict(zip(map(str, store["volume"]), map(str, store["group"]), strict=True))
    assert {donors[one] for one in made["test.parquet"].ids} == {"D1", "D5"}
    for child in trained.children():
        split = Splits.load(child.splits_file)
        donor = child.name.split(".")[0]
        assert {donors[one] for one in split.test} == {donor}
        assert donor not in {donors[one] for one in (*split.train, *split.valid)}
    assert {child.name for child in trained.children()} == {
        f"{d}.seed{s}" for d in ("D1", "D5") for s in (0, 1)
    }


def test_the_prediction_is_the_mean_of_the_seeds(trained):
    parts = [
        predictions.read(trained.child(f"D1.seed{seed}").predictions / "test.parquet") for seed in (0, 1)
    ]
    whole = files(trained)["test.parquet"]
    chosen = np.isin(whole.ids, parts[0].ids)
    np.testing.assert_allclose(whole.output[chosen], np.mean([p.output for p in parts], axis=0))


def test_scores_tell_each_donor_each_seed_and_the_trivial_predictor(trained):
    told = recipe.scores(trained.folder)
    assert set(told["each donor"]["rows"]) == {"D1", "D5"}
    assert set(told["each seed"]["rows"]) == {"0", "1"}
    assert told["each donor"]["spread"]["mcc"]["n"] == 2
    names = {s["name"]: s for s in told["scores"] if s["split"] == "test"}
    for name in ("auroc", "auprc", "mcc", "balanced accuracy", "f1"):
        assert names[name]["trivial"] is not None
    share = told["each donor"]["rows"]["D5"]["positives"] / told["each donor"]["rows"]["D5"]["n"]
    assert told["each donor"]["rows"]["D5"]["all-positive f1"] == pytest.approx(2 * share / (1 + share))


def test_scores_stand_beside_what_is_possible(trained, cohort, caplog):
    with caplog.at_level("INFO", "homeostat"):
        told = recipe.scores(trained.folder)["possible"]
    assert set(told) == {"everybody", "donor D1", "donor D5", "mean of groups", "sd of groups"}
    truth = pl.read_csv(cohort / "truth.csv")
    for donor in ("D1", "D5"):
        of_donor = truth.filter(pl.col("donor") == donor)
        best = learn.scores(
            of_donor["active"].to_numpy(), 1 / (1 + np.exp(-of_donor["bayes_score"].to_numpy()))
        )
        assert told[f"donor {donor}"]["possible"] == pytest.approx(best["valid/auroc"])
    made = files(trained)["test.parquet"]
    assert told["everybody"]["auroc"] == pytest.approx(learn.scores(made.truth, made.output)["valid/auroc"])
    assert "everybody" in caplog.text
    assert "is possible" in caplog.text


def test_real_volumes_have_no_known_limit(medmnist, tmp_path):
    config = replace(Config(seeds=1, views=1, batch_size=15), fit=replace(Config().fit, epochs=1))
    run = create(tmp_path / "run", {})
    train(config, run, recipe.prepare(config, medmnist, tmp_path / "stores"))
    assert "possible" not in recipe.scores(run.folder)


def test_predictions_are_moved_from_the_prior_of_training_to_the_expected_one(store, config):
    model = learn.network(config, store, 0).start_at_prior(0.2, 0.2)
    told = corrected(replace(config, protocol="leave-one-out"), model, np.array([0.2]))
    assert told[0] == pytest.approx(0.5), "donors differ in their prior: the odds are left without one"
    official = replace(config, protocol="folds")
    assert corrected(official, model, np.array([0.37]))[0] == pytest.approx(0.37)
    balanced = model.start_at_prior(0.5, 0.2)
    assert corrected(official, balanced, np.array([0.5]))[0] == pytest.approx(0.2)


def test_an_interrupted_run_resumes_to_the_same_predictions(
    trained, store, config, new_run, tmp_path, monkeypatch
):
    run = new_run(tmp_path / "again", config)
    draw = learn.augment.draw

    def stopping(options, seed, epoch, *rest, is_time):
        if epoch == 1 and seed == 1:
            raise Interrupted("stopped by the test")
        return draw(options, seed, epoch, *rest, is_time=is_time)

    monkeypatch.setattr(learn.augment, "draw", stopping)
    with pytest.raises(Interrupted):
        train(config, run, store)
    monkeypatch.undo()
    train(config, run, store)
    for name, made in files(trained).items():
        np.testing.assert_array_equal(made.outputs, files(run)[name].outputs, err_msg=name)


def test_new_volumes_are_predicted_without_labels(trained, cohort, config, tmp_path):
    new = tmp_path / "new" / "isolated_cells_D9"
    new.mkdir(parents=True)
    for number, file in enumerate(sorted((cohort / "isolated_cells_D5").glob("*.npy"))[:3]):
        np.save(new / f"unknown{number}.npy", np.load(file))
    recipe.predict(config, trained, tmp_path / "new", tmp_path / "out.parquet")
    made = predictions.read(tmp_path / "out.parquet")
    assert made.split == "new"
    assert set(made.subjects) == {"D9"}
    assert np.isnan(made.targets).all()
    seen = files(trained)["test.parquet"]
    same = [file.stem for file in sorted((cohort / "isolated_cells_D5").glob("*.npy"))[:3]]
    of_run = [float(seen.output[seen.ids == f"isolated_cells_D5/{name}"][0]) for name in same]
    # The networks of both splits and not of one: near, not equal; without the run's own prior they would be far.
    np.testing.assert_allclose(made.output, of_run, atol=0.15)


def test_volumes_of_another_kind_are_refused(trained, medmnist, config, tmp_path):
    with pytest.raises(DataError, match="holds shape volumes; run smoke learnt from photons"):
        recipe.predict(config, trained, medmnist, tmp_path / "out.parquet")


def test_the_official_split_is_kept_and_tested(medmnist, tmp_path):
    config = replace(Config(seeds=1, views=2, batch_size=15), fit=replace(Config().fit, epochs=2))
    store = recipe.prepare(config, medmnist, tmp_path / "stores")
    run = create(tmp_path / "run", {})
    train(config, run, store)
    made = files(run)["test.parquet"]
    assert sorted(made.ids) == sorted(f"test-{row:05d}" for row in range(30))
    assert set(Splits.load(run.splits_file).test) == set(made.ids)
    assert recipe.scores(run.folder)["headline"]["split"] == "test"


def test_the_protocol_follows_the_data(store, config):
    assert protocol.choose(config, store)[0] == "leave-one-out"
    dealt = protocol.splits(replace(config, folds=3), store, "folds")
    assert list(dealt) == ["fold0", "fold1", "fold2"]
    donors = dict(zip(map(str, store["volume"]), map(str, store["group"]), strict=True))
    for split in dealt.values():
        assert not {donors[one] for one in split.test} & {donors[one] for one in split.train}


def test_only_weights_and_plain_values_are_kept(trained):
    for file in trained.child("D1.seed0").checkpoints.glob("*.ckpt"):
        torch.load(file, weights_only=True)


@pytest.mark.slow
def test_leave_one_donor_out_reaches_nearly_what_bayes_does(tmp_path):
    config = recipe.preset("demo")
    recipe.simulate(tmp_path / "cells", 1)
    store = recipe.prepare(config, tmp_path / "cells", tmp_path / "stores")
    run = create(tmp_path / "run", {})
    train(config, run, store)
    told = recipe.scores(run.folder)["possible"]
    assert told["everybody"]["ratio"] >= 0.95
