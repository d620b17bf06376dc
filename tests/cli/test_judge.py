"""A finished run is scored, applied, exported and compared from its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import curve
from disk import files_at_most
from homeostat.engine.export import best_weights
from homeostat.files import read_json
from homeostat.run import create

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
    assert sorted(path.name for path in tmp_path.glob("*new*")) == ["new.csv", "new.parquet"]


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
