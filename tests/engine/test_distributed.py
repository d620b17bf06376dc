"""Two processes train as one does: the same batches, the same state on both, one writer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from curve import SETTINGS, make_task, model
from homeostat.engine import checkpoint
from homeostat.engine.distributed import World
from homeostat.engine.fit import fit
from homeostat.run import Run, create
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
"""


def train(folder: Path, size: int, processes: int) -> None:
    """What torchrun does, without its monitor: one process per rank."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = []
    for rank in range(processes):
        world = {"RANK": str(rank), "WORLD_SIZE": str(processes), "LOCAL_RANK": str(rank)}
        world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
        environment = {**os.environ, "PYTHONPATH": paths, **world}
        command = [sys.executable, "-c", PROGRAM, str(folder), str(size), str(rank)]
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, told = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, told


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """The last batch of an epoch has one sample, so the second process has none of its own."""
    alone, together = create(tmp_path / "alone", {}), create(tmp_path / "together", {})
    expected = fit(make_task(model(dropout=0.0), size=23), SETTINGS, alone).model.state_dict()
    train(together.folder, 23, 2)
    first, second = (torch.load(together.folder / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    for name, value in expected.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)
    last = checkpoint.read(checkpoint.ring(together.checkpoints)[-1])["state"]
    assert all(torch.equal(last["model"][name], first[name]) for name in first)
    assert [event["step"] for event in Run(together.folder).events("score")] == [
        event["step"] for event in Run(alone.folder).events("score")
    ]


@pytest.mark.parametrize(("rows", "processes"), [(10, 3), (2, 3), (1, 2), (64, 1)])
def test_shares_are_the_batch_in_order(rows: int, processes: int) -> None:
    batch = np.arange(rows)
    shares = [World(rank, processes).share(batch) for rank in range(processes)]
    assert np.concatenate(shares).tolist() == batch.tolist()
