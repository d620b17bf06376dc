"""A finished run is scored, applied, exported and compared from its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import curve
from disk import files_at_most
from homeostat.data.blueprint import Blueprint
from homeostat.data.store import Writer
from homeostat.engine.export import best_weights
from homeostat.evaluate.predictions import Predictions, write
from homeostat.recipes import RECIPES
from homeostat.run import Run, create, sealed
from homeostat.run.sealed import read_json, write_json

Homeostat = Callable[..., tuple[int, str, str]]


def test_evaluate_writes_metrics_and_prints_them(homeostat: Homeostat, trained: Path) -> None:
    code, out, _ = homeostat("evaluate", trained)
    assert code == 0
    assert read_json(trained / "metrics.json")["headline"]["name"] == "rmse"
    assert "rmse" in out
    assert f"Next: homeostat report {trained}" in out


def test_evaluating_an_unfinished_run_says_how_to_finish_it(homeostat: Homeostat, tmp_path: Path) -> None:
    run = create(tmp_path / "a", {"recipe": "curve", "config": {}})
    code, _, err = homeostat("evaluate", run.folder)
    assert code == 2
    assert f"has no predictions: its state is new. Finish it with `homeostat resume {run.folder}`" in err


def test_export_writes_the_best_weights_with_their_config(homeostat: Homeostat, trained: Path) -> None:
    assert homeostat("export", trained)[0] == 0
    inner = curve.inner(trained)
    exported, best = load_file(inner.export / "model.safetensors"), best_weights(inner)
    assert set(exported) == set(best)
    assert all(torch.equal(exported[name], best[name]) for name in best)
    assert read_json(inner.export / "config.json")["recipe"] == "curve"


def test_predict_uses_the_best_model(
    homeostat: Homeostat, trained: Path, cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.parquet"
    assert homeostat("predict", trained, "--data", cohort, "--out", out)[0] == 0
    fresh = pl.read_parquet(out)["output/y"].tail(40)
    own = pl.read_parquet(trained / "predictions" / "valid.parquet")["output/y"]
    # Not to the bit: a product over more rows may be summed in another order.
    assert fresh.to_list() == pytest.approx(own.to_list(), abs=1e-5)


def test_predictions_are_written_as_what_their_name_says(
    homeostat: Homeostat, trained: Path, cohort: Path, tmp_path: Path
) -> None:
    text, table = tmp_path / "new.csv", tmp_path / "new.parquet"
    for out in (text, table):
        assert homeostat("predict", trained, "--data", cohort, "--out", out)[0] == 0
    assert text.read_text().startswith("id,subject,target/y,output/y,model\nc0,c0,")
    assert pl.read_csv(text)["output/y"].to_list() == pytest.approx(
        pl.read_parquet(table)["output/y"].to_list()
    )
    assert sorted(path.name for path in tmp_path.glob("*new*")) == [
        "new.csv",
        "new.csv.json",
        "new.parquet",
        "new.parquet.json",
    ]


def test_a_full_disk_keeps_the_predictions_that_were_there(
    homeostat: Homeostat, trained: Path, cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.csv"
    out.write_text("older")
    with files_at_most(2000):
        code, _, err = homeostat("predict", trained, "--data", cohort, "--out", out)
    assert code == 6, err
    assert f"No room to write {out}" in err
    assert out.read_text() == "older"
    assert not list(tmp_path.glob(".new*"))


@pytest.mark.parametrize(
    ("data", "out", "sentence"),
    [
        (".", "new.xlsx", "does not say what to write. Give it a name that ends in .parquet or .csv."),
        ("nowhere", "new.csv", "nowhere does not exist."),
    ],
)
def test_predictions_that_cannot_be_made_are_refused_at_once(
    homeostat: Homeostat, trained: Path, tmp_path: Path, data: str, out: str, sentence: str
) -> None:
    code, _, err = homeostat("predict", trained, "--data", tmp_path / data, "--out", tmp_path / out)
    assert code == 2
    assert sentence in err


def test_predictions_that_cannot_be_written_are_an_error_with_a_cure(
    homeostat: Homeostat, trained: Path, cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.csv"
    out.mkdir()
    code, _, err = homeostat("predict", trained, "--data", cohort, "--out", out)
    assert code == 2
    assert f"{out} cannot be written: Is a directory. Make the folder writable" in err
    assert not list(tmp_path.glob(".new*"))


def test_compare_needs_two_runs(homeostat: Homeostat, trained: Path) -> None:
    code, _, err = homeostat("compare", trained)
    assert code == 2
    assert "Name at least two runs" in err


def test_runs_that_differ_in_nothing_are_one_method(homeostat: Homeostat, trained: Path) -> None:
    other = trained.with_name("b")
    shutil.copytree(trained, other)
    code, _, err = homeostat("compare", trained, other)
    assert code == 2
    assert "A comparison needs two methods" in err


def judged(tmp_path: Path, name: str, shift: float, *parts: str, recipe: str = "") -> Path:
    """A run that is done and has predicted these splits; it trained on a and chose its epoch by the b."""
    run = create(tmp_path / name, {"recipe": recipe, "config": {"hidden_dim": round(100 * shift)}})
    write_json(run.splits_file, {"train": ["a"], "valid": [f"b{k}" for k in range(30)], "test": []})
    truth = np.sin(np.arange(30))
    for part in parts:
        ids = [f"{'b' if part == 'valid' else 'c'}{k}" for k in range(30)]
        outputs = truth + np.cos(7 * np.arange(30)) * shift
        table = Predictions.build("regression", part, ids=ids, targets=truth, outputs=outputs)
        write(table, run.predictions / f"{part}.parquet")
    with run.active():
        pass
    return run.folder


def test_the_same_validation_rows_are_compared_and_called_optimistic(
    homeostat: Homeostat, tmp_path: Path
) -> None:
    """Nobody trained on them. Without a test split this is the only comparison, and it is found without a flag."""
    folders = [judged(tmp_path, "x", 0.1, "valid"), judged(tmp_path, "y", 0.5, "valid")]
    code, out, err = homeostat("compare", *folders, "--split", "valid")
    assert code == 0, err
    assert "valid is optimistic: each run chose its epoch by these rows" in out
    code, out, err = homeostat("compare", *folders)
    assert code == 0, err
    assert out.startswith("Compared on valid, the best split that all of these runs have predicted.")
    (pair,) = json.loads(homeostat("compare", *folders, "--json")[1])["comparisons"]
    assert (pair["a"], pair["b"], pair["split"]) == ("x", "y", "valid")
    write_json(Run(folders[1]).splits_file, {"train": ["b3"], "valid": [], "test": []})
    code, _, err = homeostat("compare", *folders)
    assert (code, "1 of 30 valid ids of x (first: b3) were training ids of y" in err) == (3, True), err


def test_a_run_that_is_done_is_not_to_be_resumed(homeostat: Homeostat, tmp_path: Path) -> None:
    one = judged(tmp_path, "x", 0.1, "valid", recipe="curve")
    two = judged(tmp_path, "y", 0.2, "valid", "test", recipe="curve")
    code, _, err = homeostat("compare", one, two, "--split", "test")
    assert code == 3
    assert f"{one} has no test predictions. It has: valid." in err
    assert "resume" not in err
    shutil.rmtree(Run(one).predictions)
    for words in (("evaluate", one), ("compare", one, two)):
        code, _, err = homeostat(*words)
        # Its children still know how to predict: nothing is trained for it.
        assert (code, f"valid.parquet is missing. Make it again: homeostat resume {one}" in err) == (2, True)


def test_cross_validated_runs_are_compared(homeostat: Homeostat, tmp_path: Path) -> None:
    """Each row was predicted by a training that had not seen it: the splits are those of the runs inside."""
    folders = [judged(tmp_path, "x", 0.1, "out-of-fold"), judged(tmp_path, "y", 0.5, "out-of-fold")]
    for run in map(Run, folders):
        sealed.remove(run.splits_file)
        write_json(run.child("fold0.own.0").splits_file, {"train": ["c1"], "valid": [], "test": ["c0"]})
    code, out, err = homeostat("compare", *folders)
    assert code == 0, err
    assert "out-of-fold" in out


def test_runs_of_one_name_in_two_folders_are_told_apart(homeostat: Homeostat, tmp_path: Path) -> None:
    one, two = judged(tmp_path / "p", "x", 0.1, "test"), judged(tmp_path / "q", "x", 0.5, "test")
    code, out, err = homeostat("compare", one, two)
    assert code == 0, err
    assert f"{one} - {two}" in out


def test_answers_for_programs_are_json_alone(homeostat: Homeostat, trained: Path) -> None:
    metrics = json.loads(homeostat("evaluate", trained, "--json")[1])
    assert metrics == read_json(trained / "metrics.json")
    assert set(json.loads(homeostat("doctor", trained, "--json")[1])) == {"findings", "tried", "not_tried"}


def test_predictions_have_one_form_and_say_what_they_come_from(
    homeostat: Homeostat, trained: Path, cohort: Path, tmp_path: Path
) -> None:
    frames = []
    for out in (tmp_path / "new.csv", tmp_path / "new.parquet"):
        code, _, err = homeostat("predict", trained, "--data", cohort, "--out", out)
        assert code == 0
        # curve.simulate makes 70 training and 40 validation rows; the model has learnt from all of them.
        assert "110 of 110 rows have the id or the subject of a training or validation row" in err
        about = read_json(out.with_name(f"{out.name}.json"))
        assert (about["rows"], about["rows_learnt_from"], about["counts"]) == (110, 110, {})
        assert about["data"] == str(cohort)
        frames.append(pl.read_csv(out) if out.suffix == ".csv" else pl.read_parquet(out))
    assert frames[0].columns == frames[1].columns == ["id", "subject", "target/y", "output/y", "model"]


def test_what_preparation_counts_is_said_of_new_data_too(
    homeostat: Homeostat, trained: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counting(config: curve.Config, data: Path) -> Blueprint:
        whole = curve.blueprint(config, data)

        def write(writer: Writer) -> None:
            whole.write(writer)
            writer.count("temperatures above 45 C, clipped", 3)

        return replace(whole, write=write, parameters={"counts": True})

    monkeypatch.setitem(RECIPES, "curve", lambda: replace(curve.recipe, new_blueprint=counting))
    out = tmp_path / "new.csv"
    code, text, _ = homeostat("predict", trained, "--data", cohort, "--out", out)
    assert code == 0
    assert "3 temperatures above 45 C, clipped" in text
    assert read_json(tmp_path / "new.csv.json")["counts"] == {"temperatures above 45 C, clipped": 3}


def test_a_run_inside_without_weights_is_no_obstacle_to_an_export(
    homeostat: Homeostat, trained: Path
) -> None:
    """Trees keep nothing in `checkpoints`; a folder of that name may be there all the same."""
    Run(trained).child("split.trees.0").checkpoints.mkdir(parents=True)
    code, out, err = homeostat("export", trained)
    assert code == 0, err
    assert str(curve.inner(trained).export) in out
    assert "trees" not in out
