"""The error of the battery recipe beside its yard-sticks in the same run and the published figures.

Three runs: health of unseen NASA cells, its forecast, cycle life of the Severson cells. About ten minutes on two cores.

    python benchmarks/battery.py [--data ../shared/data/battery] [--seeds 4] [--tasks soh forecast cycle-life]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from homeostat.config import to_plain
from homeostat.evaluate.predictions import Predictions, read
from homeostat.evaluate.regression import scores
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.recipe import recipe
from homeostat.run import create

FOLDERS = {"soh": "nasa", "forecast": "nasa", "cycle-life": "severson"}
PUBLISHED = {
    "soh": "2.14 % for a single-purpose model, leave one battery out; about 3 % for trees on the first 1,000 s",
    "forecast": "none on this protocol",
    "cycle-life": "about 91 cycles for the discharge-curve model, 138 for its variance alone (Severson 2019)",
}


def train(task: str, data: Path, seeds: int, folder: Path) -> tuple[list[Predictions], float]:
    """Train, and return the predictions of the test cells, the recipe's model first."""
    config = replace(Config(), task=task, seeds=seeds)
    stores = folder / "stores"
    raw = data / FOLDERS[task]
    plain = {"recipe": "battery", "data": str(raw), "stores": str(stores), "config": to_plain(config)}
    run = create(folder / task, plain)
    started = time.monotonic()
    store = recipe.prepare(config, raw, stores)
    recipe.train(config, run, store)
    files = sorted(run.predictions.glob("test*.parquet"), key=lambda path: path.name != "test.parquet")
    return [read(path) for path in files], time.monotonic() - started


def show(task: str, tested: list[Predictions], seconds: float) -> None:
    """One line per target and model: error, interval over cells, ratio to the model of the recipe."""
    percent = task != "cycle-life"
    name, factor, unit = ("rmse per subject", 100.0, "%") if percent else ("rmse", 1.0, "cycles")
    print(f"\n{task}: {name} in {unit}, {len(set(tested[0].subjects))} cells, {seconds:.0f} s")
    print(f"  published: {PUBLISHED[task]}")
    for target in tested[0].names:
        own = None
        for p in tested:
            score = next(s for s in scores(p.one(target)) if s.name == name)
            value = factor * (score.value or 0.0)
            own = own or value
            low, high = factor * (score.low or 0.0), factor * (score.high or 0.0)
            print(f"  {target:16} {p.model:16} {value:8.2f}  ({low:.2f} to {high:.2f})  {value / own:5.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/battery"))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--tasks", nargs="+", choices=FOLDERS, default=list(FOLDERS))
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for task in options.tasks:
            show(task, *train(task, options.data, options.seeds, Path(folder)))


if __name__ == "__main__":
    main()
