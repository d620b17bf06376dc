"""What every test starts from: fixed seeds, one thread, and a process that the test before left as it was."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    # Tests work on small tensors, where a second thread costs more than it brings, and where the order
    # of a parallel sum would make "bit for bit" depend on the machine.
    torch.set_num_threads(1)
    # The same examples each time, on a machine of any speed: a failure that comes back is one that can be mended.
    hypothesis.settings.register_profile("house", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the public data sets, one sub-folder each."""
    folder = Path(os.environ.get("HOMEOSTAT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"No data at {folder}. Put the public data sets there, or name their folder in HOMEOSTAT_DATA."
        )
    return folder


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder for code of one's own; what was imported from it is forgotten at the end."""
    folder = tmp_path / "outside"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _same_start_same_end() -> Iterator[None]:
    """Start every test from the same seeds; fail one that leaves the process changed for the next."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    before = _process_settings()
    yield
    after = _process_settings()
    changed = [name for name in before if before[name] != after[name]]
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_num_threads(1)
    assert not changed, f"The test left these changed for every test after it: {', '.join(changed)}"


# Set by pytest itself, by torch when its first optimiser is made, and by polars and OpenMP when they are loaded.
_NOT_OURS = (
    "PYTEST_CURRENT_TEST",
    "TORCHINDUCTOR_CACHE_DIR",
    "_RJEM_MALLOC_CONF",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
)


def _process_settings() -> dict[str, object]:
    return {
        "default dtype": torch.get_default_dtype(),
        "gradient mode": torch.is_grad_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "number of threads": torch.get_num_threads(),
        "numpy error state": np.geterr(),
        "working directory": os.getcwd(),
        "environment": {key: value for key, value in os.environ.items() if key not in _NOT_OURS},
    }
