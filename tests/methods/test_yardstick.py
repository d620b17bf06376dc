"""Trees train and answer with as many threads as the plan decided, however many the machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# A thread of its own has no number of threads that something else set in passing.
TRAIN_LOAD_ANSWER = """
import sys, threading, time
from pathlib import Path
import numpy as np, torch, xgboost
from homeostat.data.splits import Splits
from homeostat.methods.method import Lesson
from homeostat.methods.yardstick import trees
from homeostat.run import Run, create

torch.set_num_threads(1)
run, part = create(Path(sys.argv[1]) / "run", {}), sys.argv[2]
x = np.random.default_rng(0).normal(size=(40_000, 8))
rows = lambda data, ids: data[[int(name) for name in ids]]
method = trees(
    "trees", columns=rows, targets=lambda data, ids: rows(data, ids)[:, 0], settings={"max_depth": 3}, rounds=5
)
names = [str(row) for row in range(len(x))]
lesson = Lesson(data=x, splits=Splits(fingerprint="", train=names, valid=[], test=[], by="row"), seed=0)
if part == "answer":
    import json
    from homeostat.methods import fitted
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(x[:9], label=x[:9, 0], nthread=1), 5)
    fitted.save(run, "trees", {"numbers": {}, "model": bytes(booster.save_raw("json")).decode()})
def started(function, *given):
    # The threads of OpenMP stay as long as the one that started them; one that has just ended is listed for a moment.
    tasks = lambda: len(list(Path("/proc/self/task").iterdir()))
    before = tasks()
    function(*given)
    until = time.monotonic() + 5
    while tasks() > before and time.monotonic() < until:
        time.sleep(0.01)
    print(tasks() - before)
def alone(*words):
    thread = threading.Thread(target=started, args=words)
    thread.start()
    thread.join()
if part == "train":
    alone(method.train, lesson, run)
else:
    alone(method.load(run).answer, x, names)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts the threads in /proc")
@pytest.mark.parametrize("part", ["train", "answer"])
def test_one_thread_starts_no_other(tmp_path: Path, part: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", TRAIN_LOAD_ANSWER, str(tmp_path), part],
        env={"PATH": "", "OMP_NUM_THREADS": "4", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.returncode) == ("0\n", 0), answer.stderr
