"""Random fields of every kind through `auto`: a sample of `benchmarks/ode_fields.py`; `make fields` runs more."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from homeostat.ode.build import Library, load_library

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "ode_fields.py"


@pytest.fixture(scope="module")
def fields() -> ModuleType:
    library = load_library()
    if not isinstance(library, Library):
        pytest.skip(library)
    spec = importlib.util.spec_from_file_location("ode_fields", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ode_fields"] = module
    spec.loader.exec_module(module)
    del sys.modules["ode_fields"]
    return module


def solve_some(fields: ModuleType, first: int, count: int) -> dict[str, set[str]]:
    backends: dict[str, set[str]] = {}
    for seed in range(first, first + count):
        name, backend, wrong, _ = fields.once(seed)
        assert not wrong, f"field {seed} ({name}, {backend}): {wrong}"
        backends.setdefault(name, set()).add(backend)
    return backends


def test_values_and_gradients_are_those_of_the_plain_solver_in_double(fields: ModuleType) -> None:
    backends = solve_some(fields, 70_000_000, 20 * len(fields.KINDS))
    assert set(backends) == set(fields.KINDS)
    for name in ("chain", "shared", "copied", "computed weights"):
        assert backends[name] == {"native"}, name
    for name in ("low rank", "parametrised", "no gradient", "hooks and patches", "physics"):
        assert backends[name] == {"plain"}, name


@pytest.mark.slow
def test_many_more(fields: ModuleType) -> None:
    solve_some(fields, 80_000_000, 5000)


def test_a_figure_that_is_wrong_is_noticed(fields: ModuleType) -> None:
    def figures(nudge: float, *, missing: bool = False) -> list[Tensor | None]:
        return [
            torch.ones(3).double() * (1 + nudge),
            None if missing else torch.ones(2).double() * (1 + 10 * nudge),
        ]

    assert fields.compare([figures(5e-7), figures(0)]) == ([], 0)
    assert len(fields.compare([figures(2e-6), figures(0)])[0]) == 2
    assert len(fields.compare([figures(2e-6), figures(0), figures(0)])[0]) == 2
    assert fields.compare([figures(2e-6), figures(0), figures(1e-6)]) == ([], 2)
    assert len(fields.compare([figures(0.1), figures(0), figures(1e-3)])[0]) == 2
    assert fields.compare([figures(0, missing=True), figures(0)])[0] == ["figure 1: no gradient"]
    assert len(fields.compare([figures(torch.nan), figures(0), figures(torch.nan)])[0]) == 2
