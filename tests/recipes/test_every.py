"""Laws that every recipe inherits: its smoke run ends in the files of the contract, and resumes to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.audits.exam import examine
from homeostat.audits.learnable import learnable
from homeostat.cli import judge
from homeostat.data.splits import Splits
from homeostat.engine import checkpoint
from homeostat.engine.state import differences
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import Predictions
from homeostat.methods import crossfit
from homeostat.recipes import RECIPES, find
from homeostat.run import Run, open_run
from patience import PATIENCE_S
from rehearsal import interrupted_at, maker


@dataclass(frozen=True)
class Smoke:
    """One finished smoke run of a recipe."""

    name: str
    data: Path
    run: Run

    @property
    def recipe(self) -> Any:
        return find(self.name)


@pytest.fixture(scope="module", params=sorted(RECIPES))
def smoke(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    recipe, folder = find(request.param), tmp_path_factory.mktemp(request.param)
    (folder / "data").mkdir()
    recipe.simulate(folder / "data", 0)
    return Smoke(request.param, folder / "data", trained(request.param, folder / "data", folder / "whole"))


def trained(name: str, data: Path, folder: Path) -> Run:
    recipe = find(name)
    config = recipe.preset("smoke")
    run = maker(name, data)(folder, config)
    recipe.train(config, run, recipe.prepare(config, data, folder.parent / "stores"))
    return run


def files(run: Run) -> Mapping[str, Predictions]:
    found = sorted(run.folder.rglob("*.parquet"))
    return {str(path.relative_to(run.folder)): predictions.read(path) for path in found}


def own(run: Run) -> list[Predictions]:
    """Read the predictions of the model of a run."""
    found = [run.predictions / f"{part}.parquet" for part in ("test", "valid")]
    return [predictions.read(path) for path in found if path.exists()]


def ends(run: Run) -> Mapping[str, Any]:
    """The final State of every fit in a run, by its folder."""
    folders = sorted({path.parent for path in run.folder.rglob("step-*.ckpt")})
    return {
        str(folder.relative_to(run.folder)): checkpoint.read(checkpoint.ring(folder)[-1])["state"]
        for folder in folders
    }


def assert_same_end(one: Run, other: Run) -> None:
    expected, found = ends(one), ends(other)
    assert expected
    assert list(expected) == list(found)
    for name in expected:
        assert differences(expected[name], found[name]) == [], name
    assert list(files(one)) == list(files(other))
    for name, p in files(one).items():
        np.testing.assert_array_equal(p.outputs, files(other)[name].outputs, err_msg=name)


def test_a_run_predicts_every_part_with_its_model_and_its_yard_sticks(smoke: Smoke) -> None:
    # In a folder of its own lies what is possible: a limit, and no model.
    models = {p.model for name, p in files(smoke.run).items() if Path(name).parent == Path("predictions")}
    assert len(models) > 1, "no score stands alone"
    for p in own(smoke.run):
        assert np.isfinite(p.outputs).all()
        assert len(set(p.ids)) == len(p)
    metrics = smoke.recipe.scores(smoke.run.folder)
    assert metrics["headline"]["model"] == own(smoke.run)[0].model
    assert {score["model"] for score in metrics["scores"]} >= models


def test_no_subject_is_predicted_by_a_model_that_learnt_from_it(smoke: Smoke) -> None:
    for child in smoke.run.children():
        splits = Splits.load(child.splits_file)
        for path in child.predictions.glob("*.parquet"):
            p = predictions.read(path)
            if p.split != "train":
                assert not {*p.ids, *p.subjects} & set(splits.train)


def test_a_run_that_is_done_is_left_as_it_is(smoke: Smoke) -> None:
    before = {path: path.stat().st_mtime_ns for path in smoke.run.folder.rglob("*.ckpt")}
    config = smoke.recipe.preset("smoke")
    store = smoke.recipe.prepare(config, smoke.data, smoke.run.folder.parent / "stores")
    smoke.recipe.train(config, smoke.run, store)
    assert {path: path.stat().st_mtime_ns for path in smoke.run.folder.rglob("*.ckpt")} == before
    assert all(crossfit.is_finished(smoke.run, child) for child in smoke.run.children())


def test_an_interrupted_run_resumes_to_the_same_bits(smoke: Smoke, tmp_path: Path) -> None:
    config = smoke.recipe.preset("smoke")
    run = maker(smoke.name, smoke.data)(tmp_path / "again", config)
    store = smoke.recipe.prepare(config, smoke.data, tmp_path / "stores")
    for event in (9, 14):
        with interrupted_at(event):
            smoke.recipe.train(config, run, store)
    smoke.recipe.train(config, run, store)
    assert_same_end(smoke.run, run)


def test_eight_samples_can_be_learnt_by_heart(smoke: Smoke) -> None:
    """A network that cannot has a fault that no data will mend. The audit `learnable` tries it on the recipe's case."""
    config = smoke.recipe.preset("smoke")
    store = smoke.recipe.prepare(config, smoke.data, smoke.run.folder.parent / "stores")
    case = smoke.recipe.case(config, smoke.run, store)
    exam = examine(case, [learnable])
    assert exam.tried == ("learnable",)
    assert exam.findings == ()


def test_new_data_are_predicted_in_one_kind_of_file(smoke: Smoke, tmp_path: Path) -> None:
    judge.predict(smoke.run, smoke.data, tmp_path / "new.parquet")
    p = predictions.read(tmp_path / "new.parquet")
    assert p.split == "new"
    known = own(smoke.run)[0]
    assert (p.model, p.names, p.kind) == (known.model, known.names, known.kind)
    assert np.isfinite(p.outputs).all()


def command(*words: str, threads: int = 2) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    line = [sys.executable, "-m", "homeostat", *words]
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished(process: subprocess.Popen[bytes]) -> str:
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.faults
def test_two_jobs_end_with_the_bits_of_one_also_when_a_worker_and_the_run_are_killed(
    smoke: Smoke, tmp_path: Path
) -> None:
    for name, jobs in (("one", "1"), ("two", "2")):
        words = ("train", smoke.name, "--data", str(smoke.data), "--preset", "smoke", "--jobs", jobs)
        process = command(*words, "--run", str(tmp_path / name), "--stores", str(tmp_path / "stores"))
        if jobs == "2":
            worker = some_worker(tmp_path / name, process)
            if worker is not None:
                os.kill(worker, signal.SIGKILL)
        finished(process)
    assert_same_end(open_run(tmp_path / "one"), open_run(tmp_path / "two"))
    assert_no_worker(tmp_path / "two")


def some_worker(folder: Path, process: subprocess.Popen[bytes]) -> int | None:
    """The process that trains the first child that is at work, or None if the run ended before one was seen."""
    while process.poll() is None:
        for status in folder.glob("children/*/status.json"):
            child = Run(status.parent)
            if child.status().get("state") == "running":
                pid = int(child.status()["pid"])
                if pid != process.pid:
                    return pid
        time.sleep(0.002)
    return None


def assert_no_worker(folder: Path) -> None:
    assert all(not child.is_alive() for child in open_run(folder).children())
