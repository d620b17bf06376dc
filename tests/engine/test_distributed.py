"""Two processes train as one does: the same batches, the same state on both, one writer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import curve
from curve import SETTINGS, make_task, model
from homeostat.cli import main
from homeostat.engine import checkpoint
from homeostat.engine.distributed import World
from homeostat.engine.export import best_weights
from homeostat.engine.fit import fit
from homeostat.errors import DataError
from homeostat.recipes import RECIPES
from homeostat.run import Run, create
from homeostat.run.sealed import read_json, write_json
from patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from curve import SETTINGS, make_task, model
from homeostat.engine.fit import fit
from homeostat.run import Run

torch.set_num_threads(1)
state = fit(make_task(model(dropout=0.0), size=int(sys.argv[2])), SETTINGS, Run(Path(sys.argv[1])))
torch.save(state.model.state_dict(), Path(sys.argv[1]) / f"rank-{sys.argv[3]}.pt")
normed = fit(make_task(model(norm=True)), replace(SETTINGS, epochs=1), Run(Path(sys.argv[1]) / "normed"))
torch.save(normed.model.state_dict(), Path(sys.argv[1]) / f"normed-{sys.argv[3]}.pt")
"""


def together(processes: int, *words: object) -> list[str]:
    """Start a process per rank, as torchrun does; `RANK` in its words is its rank. Return the output of each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = []
    for rank in range(processes):
        world = {"RANK": str(rank), "WORLD_SIZE": str(processes), "LOCAL_RANK": str(rank)}
        world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
        environment = {**os.environ, "PYTHONPATH": paths, **world}
        command = [sys.executable, *(str(rank) if word == "RANK" else str(word) for word in words)]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    printed = [process.communicate(timeout=PATIENCE_S) for process in running]
    assert [process.returncode for process in running] == [0] * processes, printed
    return [out for out, _ in printed]


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """The last batch of an epoch has one sample, so the second process has none of its own."""
    alone, shared = create(tmp_path / "alone", {}), create(tmp_path / "together", {})
    expected = fit(make_task(model(dropout=0.0), size=23), SETTINGS, alone).model.state_dict()
    (shared.folder / "normed").mkdir()
    together(2, "-c", PROGRAM, shared.folder, 23, "RANK")
    first, second = (torch.load(shared.folder / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    for name, value in expected.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)
    last = checkpoint.read(checkpoint.ring(shared.checkpoints)[-1])["state"]
    assert all(torch.equal(last["model"][name], first[name]) for name in first)
    assert [event["step"] for event in Run(shared.folder).events("score")] == [
        event["step"] for event in Run(alone.folder).events("score")
    ]

    normed, also = (torch.load(shared.folder / f"normed-{rank}.pt", weights_only=True) for rank in range(2))
    assert any("running_mean" in name for name in normed)
    assert all(torch.equal(value, also[name]) for name, value in normed.items())


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_a_recipe_is_trained_by_two_processes_and_written_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)
    cohort, stores = tmp_path / "cohort", tmp_path / "stores"
    cohort.mkdir()
    curve.simulate(cohort, 0)
    words = ["train", "curve", "--data", str(cohort), "--stores", str(stores), "--epochs", "2"]
    first, second = together(2, ROOT / "tests" / "curve.py", *words, "--run", tmp_path / "two")
    assert f"Done: {tmp_path / 'two'}" in first
    assert second == ""
    assert main([*words, "--run", str(tmp_path / "one")]) == 0
    one, two = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert Run(tmp_path / "two").status()["state"] == "done"
    assert read_json(curve.inner(tmp_path / "two").environment_file)["processes"] == 2
    assert [event["step"] for event in curve.inner(tmp_path / "two").events("score")] == [5, 10]


def test_an_error_of_the_first_process_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[object] = []

    def from_first(world: World, value: object) -> object:
        if world.is_first:
            values.append(value)
        return values[0]

    def refuse() -> None:
        raise DataError("There is nothing at cells.")

    monkeypatch.setattr(World, "from_first", from_first)
    for rank, work in enumerate((refuse, lambda: pytest.fail("nobody goes on"))):
        with pytest.raises(DataError, match="nothing at cells"):
            World(rank, 2).first_then_others(work)


def test_a_shadow_reads_checkpoints_and_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    run = create(tmp_path / "a", {"recipe": "curve"})
    fit(make_task(), replace(SETTINGS, epochs=1), run.child("fold-0"))
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    shadow = run.shadow(tmp_path / "b")
    inner = shadow.child("fold-0")
    assert set(best_weights(inner)) == set(model().state_dict())
    with shadow.active(), inner.active():
        inner.journal("score")
        inner.environment(device="cpu")
        write_json(inner.splits_file, {})
    shadow.child("fold-1")
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


@pytest.mark.parametrize(("rows", "processes"), [(10, 3), (2, 3), (1, 2), (64, 1)])
def test_shares_are_the_batch_in_order(rows: int, processes: int) -> None:
    batch = np.arange(rows)
    shares = [World(rank, processes).share(batch) for rank in range(processes)]
    assert np.concatenate(shares).tolist() == batch.tolist()
