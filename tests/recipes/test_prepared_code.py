"""The law that keeps stores fresh: all code of ours that a preparation runs is part of the store's name."""

import ast
import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

from homeostat.recipes.battery import prepare as battery
from homeostat.recipes.battery.simulate import simulate as simulate_cells
from homeostat.recipes.cell import prepare as cell
from homeostat.recipes.icu import prepare as icu
from homeostat.recipes.icu.simulate import simulate as simulate_stays

# The machinery of stores has a format number of its own; errors change no data.
APART = {
    "homeostat.errors",
    "homeostat.data.border",  # it refuses, and changes nothing
    "homeostat.data.store",
    "homeostat.data.fingerprint",
    "homeostat.data.blueprint",
    "homeostat.data.seal",
}


def imported(module: ModuleType) -> set[str]:
    """Our modules that a module imports, directly or through others."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for node in ast.walk(ast.parse(inspect.getsource(waiting.pop()))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("homeostat"):
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
                for name in names:
                    if name in sys.modules and name not in found and "path" not in dir(sys.modules[name]):
                        found.add(name)
                        waiting.append(sys.modules[name])
    return {name for name in found if not inspect.isbuiltin(name) and is_file(name)}


def is_file(name: str) -> bool:
    path = sys.modules[name].__file__
    return path is not None and Path(path).name != "__init__.py"


def plans(tmp_path: Path, shared: Path | None):
    simulate_cells(tmp_path / "cells", 0, cells=1)
    simulate_stays(tmp_path / "stays", 0, stays={"a": 1})
    (tmp_path / "tidy").mkdir()
    (tmp_path / "tidy" / "x.csv").write_text("stay,time_h,variable,value\n")
    lgm50t = tmp_path / "lg" / "Expt 5 - cell A (10degC) - Processed Data.csv"
    lgm50t.parent.mkdir()
    lgm50t.write_text("x\n")
    yield battery.blueprint(tmp_path / "cells", battery.Preparation())
    yield battery.blueprint(tmp_path / "lg", battery.Preparation())
    yield icu.blueprint(tmp_path / "stays", icu.Preparation())
    yield icu.blueprint(tmp_path / "tidy", icu.Preparation())
    for source in ("flim", "medmnist", "tidy"):
        yield cell.blueprint(tmp_path / "cells", cell.Preparation(source=source))
    if shared:
        yield battery.blueprint(shared / "battery" / "nasa", battery.Preparation())
        yield battery.blueprint(shared / "battery" / "severson", battery.Preparation())


def check(plan) -> None:
    modules = [unit for unit in plan.code if inspect.ismodule(unit)]
    named = {unit.__name__ for unit in modules}
    forgotten = imported(modules[0]) - named - APART
    assert not forgotten, f"{plan.name}: add these to the plan's code: {sorted(forgotten)}"


def test_a_preparation_names_all_its_code(tmp_path):
    for plan in plans(tmp_path, None):
        check(plan)


@pytest.mark.parametrize("index", [7, 8])
def test_a_preparation_of_real_data_names_all_its_code(tmp_path, shared_data, index):
    check(list(plans(tmp_path, shared_data))[index])
