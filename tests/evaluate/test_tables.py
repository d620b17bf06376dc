"""The tables of a run hold what its files hold, one kind of value per column."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest

from homeostat.errors import RunError
from homeostat.evaluate.predictions import Predictions, write
from homeostat.evaluate.summary import of_run
from homeostat.evaluate.tables import tables
from homeostat.run import Run, create
from homeostat.run.sealed import write_json


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = create(tmp_path / "a", {"recipe": "", "config": {}})
    child = run.child("fold1")
    with run.active(), child.active():
        run.journal("start", step=0, total=10, steps_per_epoch=5)
        child.journal("step", step=1, loss=0.5, rows=[3, 4])
        child.journal("step", step=2, loss=math.nan, finite=False)
        child.journal("score", step=5, epoch=1, **{"valid/mse": 2})
        child.journal("score", step=9, epoch=2, **{"valid/mse": 1.5})
        child.journal("alarm", step=2, guard="finite", level="halt", sentence="NaN.", numbers={"loss": 1.0})
    for split, shift in (("valid", 0.0), ("test", 0.1)):
        table = Predictions.build(
            "regression",
            split,
            ids=range(30),
            targets=range(30),
            outputs=[k + shift + k % 3 for k in range(30)],
        )
        write(table, run.predictions / f"{split}.parquet")
    return run


def test_the_journal_has_a_row_for_every_event_of_the_run_and_of_those_inside_it(run: Run) -> None:
    journal = tables(run).journal
    assert journal["kind"].to_list() == ["start", "step", "step", "score", "score", "alarm"]
    assert journal["run"].to_list() == ["", *["fold1"] * 5]
    assert journal.columns[:5] == ["time", "run", "kind", "epoch", "step"]
    types = {
        name: journal.schema[name] for name in ("step", "epoch", "loss", "finite", "sentence", "valid/mse")
    }
    assert types == {
        "step": pl.Int64, "epoch": pl.Int64, "loss": pl.Float64, "finite": pl.Boolean, "sentence": pl.String,
        "valid/mse": pl.Float64,
    }  # fmt: skip
    assert journal.filter(kind="score")["valid/mse"].to_list() == [2.0, 1.5]
    first, second = journal.filter(kind="step")["loss"]
    assert (first, math.isnan(second)) == (0.5, True)
    assert [json.loads(rows) for rows in journal["rows"].drop_nulls()] == [[3, 4]]


def test_alarms_are_those_of_the_journal(run: Run) -> None:
    (alarm,) = tables(run).alarms.to_dicts()
    assert (alarm["run"], alarm["step"], alarm["guard"], alarm["sentence"]) == ("fold1", 2, "finite", "NaN.")
    assert set(tables(run).alarms.columns) <= set(tables(run).journal.columns)


def test_predictions_name_their_split_and_model(run: Run) -> None:
    frame = tables(run).predictions
    assert frame.columns == ["split", "model", "id", "subject", "target/y", "output/y"]
    assert frame.group_by("split").len().sort("split").rows() == [("test", 30), ("valid", 30)]


def test_scores_are_those_of_metrics_json(run: Run) -> None:
    write_json(run.metrics_file, of_run(run.folder))
    scores = tables(run).scores
    stored = {(s["name"], s["split"]): s["value"] for s in json.loads(run.metrics_file.read_text())["scores"]}
    assert {
        (name, split): value for name, split, value in scores.select("name", "split", "value").rows()
    } == stored
    assert {"low", "high", "n", "model"} <= set(scores.columns)


def test_a_live_run_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    run = create(tmp_path / "b", {})
    assert len(tables(run).journal) == len(tables(run).alarms) == 0
    with run.active():
        run.journal("start", step=0)
        run.flush()
        assert tables(run).journal["kind"].to_list() == ["start"]
        assert len(tables(run.folder).alarms) == 0


def test_what_is_not_there_yet_is_told_with_the_way_to_it(tmp_path: Path) -> None:
    run = create(tmp_path / "b", {})
    with pytest.raises(RunError, match=r"is not evaluated yet\. Call homeostat\.evaluate_run on it"):
        len(tables(run).scores)
    with pytest.raises(RunError, match="has no predictions"):
        len(tables(run).predictions)
    with pytest.raises(RunError, match="is not a run: it holds no config.json"):
        tables(tmp_path / "absent")
