"""Show the whole way in one command: simulate, train, evaluate and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from homeostat import console
from homeostat.cli import data, flags, judge, train
from homeostat.recipes import find
from homeostat.run import named

# Its report shows most: ranking, calibration, decisions, subgroups and the courses of single patients.
DEFAULT_RECIPE = "icu"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The recipe that is shown."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[RECIPE]")] = DEFAULT_RECIPE
    """Recipe to train, by name or address."""
    root: Path = Path("runs")
    """Folder for the simulated cohort, the store and the run."""
    seed: int = 0
    """Another seed is another cohort."""


def run(command: str, words: Sequence[str]) -> None:
    """Run `demo`."""
    options = flags.parse(
        Demo, words, "homeostat demo", "Train on a simulated cohort, evaluate, write the report."
    )
    # Its tensors are small, so threads wait for each other: 191 s with two on a busy machine, 48 s with one
    # (log/icu.md).
    torch.set_num_threads(1)
    recipe = find(options.recipe)
    folder = named(options.root, f"demo-{recipe.name}")
    cohort = folder.with_name(folder.name + "-cohort")
    data.simulate(recipe, cohort, options.seed)
    preset = "demo" if "demo" in recipe.presets else None
    shown = train.begin(recipe, recipe.preset(preset), folder, cohort, options.root / "stores")
    train.execute(shown)
    judge.evaluate(shown)
    judge.report(shown)
    console.say(f"Open {shown.report_file} in a browser. Next: homeostat train {recipe.word} --help")
