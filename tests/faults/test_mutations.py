"""Damaged raw data end in a sentence, a count or a store; and the bench that says so notices whatever else happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from homeostat.errors import ConfigError, DataError, HomeostatError
from mutants.layouts import LAYOUTS
from mutants.trial import Sound, in_child, judged

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "mutations.py"
COUNT = 156
"""Thirteen of each layout."""

pytestmark = pytest.mark.faults


def test_damaged_raw_data_end_in_a_sentence_a_count_or_a_store() -> None:
    """The whole bench has 2,000 and takes minutes: python benchmarks/mutations.py."""
    # In a process of its own: a fork keeps no threads, and other tests have started those of polars.
    command = [sys.executable, str(SCRIPT), "--count", str(COUNT), "--seed", "3"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{COUNT} mutations of seed 3" in answer.stdout
    total = next(line for line in answer.stdout.splitlines() if line.startswith("| all"))
    sentences, counted, equal = (int(number) for number in re.findall(r"\d+", total)[:3])
    assert sentences > COUNT / 3
    assert counted > 0
    assert equal > 0


def fails() -> dict:
    raise KeyError("x")


def dies() -> dict:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def hangs() -> dict:
    while True:
        pass


def waits() -> dict:
    time.sleep(600)
    return {}


def fills() -> dict:
    held = np.ones(1300 << 17)
    return refuses(DataError("x")) if held.any() else {}


def refuses(error: HomeostatError) -> dict:
    return {"error": str(error), "code": error.exit_code}


def ends(arrays: dict, counts: dict) -> dict:
    return {"store": {"arrays": arrays, "counts": counts}}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("work", "outcome"),
    [
        (fails, "traceback"),
        (dies, "signal"),
        (hangs, "hang"),
        (waits, "hang"),
        (fills, "memory"),
        (lambda: refuses(ConfigError("x")), "wrong code"),
        (lambda: refuses(DataError("x")), "sentence"),
        (lambda: ends({"a": "1"}, {"dropped": 2}), "equal"),
        (lambda: ends({"a": "2"}, {"dropped": 2}), "silent"),
        (lambda: ends({"a": "2"}, {"dropped": 3}), "counted"),
    ],
)
def test_every_outcome_is_noticed(work, outcome: str) -> None:
    # Pages for a gigabyte take a while.
    answer = in_child(work, 20.0 if outcome == "memory" else 2.0)
    sound = Sound({"a": "1"}, {"dropped": 2}, peak_mb=200.0 + in_child(dict, 2.0)["peak_mb"])
    assert judged(LAYOUTS[0], sound, answer).outcome == outcome
