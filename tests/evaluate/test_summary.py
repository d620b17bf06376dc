"""metrics.json: whole, valid JSON, every number with its facts, the same again when computed again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.evaluate import ledger, summary
from homeostat.evaluate.predictions import Predictions, write
from homeostat.evaluate.score import Score
from homeostat.run import Run

FAST = summary.Settings(resamples=200)


def files(folder, *predictions):
    return [write(p, folder / f"{p.split}-{p.model}.parquet") for p in predictions]


@pytest.fixture
def icu(ward, tmp_path):
    return files(
        tmp_path / "run" / "predictions",
        ward(1500, split="valid", model="ode", noise=0.3),
        ward(1500, seed=1, model="ode", noise=0.3),
        ward(1500, split="valid", model="xgboost", noise=0.8),
        ward(1500, seed=2, truth_seed=1, model="xgboost", noise=0.8),
    )


def test_every_number_has_its_facts(icu):
    metrics = json.loads(json.dumps(summary.summarise(icu, settings=FAST), allow_nan=False))
    assert metrics["headline"]["name"] == "auroc"
    assert (metrics["headline"]["split"], metrics["headline"]["model"]) == ("test", "ode")
    assert {(s["split"], s["model"]) for s in metrics["scores"]} == {
        (split, model) for split in ("valid", "test") for model in ("ode", "xgboost")
    }
    for score in (Score.from_dict(values) for values in metrics["scores"]):
        assert score.n == 1500
        assert score.method
        assert score.low <= score.value <= score.high
    assert metrics["splits"]["test"]["targets"]["y"]["positives"] > 100


def test_thresholds_come_from_validation(icu):
    metrics = summary.summarise(icu, settings=FAST)
    assert metrics["thresholds"]["y"]["fitted_on"] == "valid"
    assert metrics["calibrators"]["y"]["fitted_on"] == "valid"
    at = {s["note"] for s in metrics["scores"] if s["name"] == "mcc" and s["model"] == "ode"}
    assert len(at) == 1


def test_each_yard_stick_is_compared_and_corrected(icu):
    metrics = summary.summarise(icu, settings=FAST)
    assert [(c["score"], c["a"], c["b"]) for c in metrics["comparisons"]] == [
        ("auroc", "ode", "xgboost"),
        ("auprc", "ode", "xgboost"),
    ]
    assert all(c["holm"] >= c["p"] for c in metrics["comparisons"])
    assert metrics["comparisons"][0]["difference"] > 0


def test_the_same_files_give_the_same_numbers(icu):
    assert summary.summarise(icu, settings=FAST) == summary.summarise(icu, settings=FAST)


def test_reading_test_is_noted_and_reading_validation_is_not(icu, tmp_path):
    path = Run(tmp_path / "run").ledger_file
    summary.summarise([f for f in icu if "valid" in f.name], ledger_file=path, settings=FAST)
    assert ledger.reads(path) == ()
    first = summary.summarise(icu, ledger_file=path, settings=FAST)["ledger"]
    second = summary.summarise(icu, ledger_file=path, settings=FAST)["ledger"]
    assert (first["reads"], second["reads"]) == (1, 2)
    assert second["looks"] == 1
    assert second["looks_of_all_runs"] == 1


def test_a_run_folder_needs_no_list_of_files(ward, tmp_path):
    """The file named after the split is the run's own, whatever the alphabet says about the yard-sticks."""
    run = tmp_path / "runs" / "one"  # looks are counted over the runs beside it
    own, rival = ward(300, model="ode"), ward(300, seed=1, truth_seed=0, model="a tree")
    write(rival, run / "predictions" / "test-a-tree.parquet")
    write(own, run / "predictions" / "test.parquet")
    metrics = summary.of_run(run, FAST)
    assert metrics["model"] == "ode"
    assert metrics["comparisons"][0]["b"] == "a tree"
    assert len(ledger.reads(Run(run).ledger_file)) == 2
    with pytest.raises(DataError, match="holds no predictions"):
        summary.of_run(run / "other", FAST)


def test_trajectories_have_their_own_scores(cells, tmp_path):
    paths = files(tmp_path, cells(8, model="ode"), cells(8, off=0.05, model="linear fade"))
    metrics = summary.summarise(paths, settings=replace(FAST, headline="rmse per subject"))
    assert metrics["headline"]["name"] == "rmse per subject"
    names = {score["name"] for score in metrics["scores"]}
    assert {"rmse of the last point", "rmse at 80-100 % of the span"} <= names
    assert len(metrics["subjects"]) == 8
    assert metrics["time_unit"] == "days"


def test_curves_are_judged_and_compared_subject_by_subject_where_that_is_asked_for(cells, tmp_path):
    per_subject = replace(FAST, per_subject=True)
    paths = files(tmp_path, cells(8, model="ode"), cells(8, off=0.05, model="linear fade"))
    metrics = summary.summarise(paths, settings=per_subject)
    assert metrics["headline"]["name"] == "rmse per subject"
    assert [comparison["score"] for comparison in metrics["comparisons"]] == ["rmse per subject"]
    (tmp_path / "alone").mkdir()
    alone = files(tmp_path / "alone", cells(1, model="ode"), cells(1, off=0.05, model="linear fade"))
    assert summary.summarise(alone, settings=per_subject)["comparisons"] == []


def test_multilabel(tmp_path):
    random = np.random.default_rng(0)
    truth = (random.random((300, 3)) < [0.4, 0.3, 0.01]).astype(float)
    output = np.clip(0.3 + 0.3 * truth + random.normal(size=(300, 3)) * 0.2, 0, 1)
    p = Predictions.build(
        "multilabel", "test", ids=range(300), names=("a", "b", "c"), targets=truth, outputs=output
    )
    worse = replace(p, outputs=np.clip(p.outputs + random.normal(size=(300, 3)) * 0.5, 0, 1), model="worse")
    metrics = summary.summarise(files(tmp_path, p, worse), settings=FAST)
    assert metrics["headline"]["name"] == "macro auroc"
    assert metrics["comparisons"][0]["p"] < 0.01
    json.dumps(metrics, allow_nan=False)


def test_a_tiny_test_set_is_not_estimable_but_not_an_error(ward, tmp_path):
    p = ward(400)
    rows = np.concatenate([np.flatnonzero(p.truth == 0)[:50], np.flatnonzero(p.truth == 1)[:4]])
    metrics = summary.summarise(
        files(tmp_path, p.take(rows), replace(p.take(rows), model="b")), settings=FAST
    )
    assert metrics["headline"]["value"] is None
    assert "only 4 positives" in metrics["headline"]["note"]
    assert metrics["comparisons"] == []


def test_mistakes_are_told(ward, tmp_path):
    p = ward(200)
    with pytest.raises(DataError, match="There is no score 'acc'. Scores: accuracy"):
        summary.summarise(files(tmp_path, p), settings=replace(FAST, headline="acc"))
    with pytest.raises(DataError, match="No file is from model 'ode'. Models: model"):
        summary.summarise(files(tmp_path, p), settings=replace(FAST, model="ode"))
    with pytest.raises(DataError, match="Two files hold test predictions of model"):
        summary.summarise(files(tmp_path, p) * 2, settings=FAST)
    new = Predictions.build("binary", "new", ids=["x"], targets=None, outputs=[0.2])
    with pytest.raises(DataError, match="No prediction file has a known truth"):
        summary.summarise(files(tmp_path, new), settings=FAST)
