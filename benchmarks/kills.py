"""Kill whole process groups of the command line at random moments, and compare every bit of what they end with.

Each scenario is a list of commands. It is run once without disturbance, then again and again while it is killed: the
process and all its workers get SIGKILL together, at any moment from the start of Python on. After a kill the run is
resumed, or begun again if it had not begun. Tensors of every final state, prediction files and scores must be equal.

    python benchmarks/kills.py [--kills 30] [--seed 0] [--only icu-stack] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from homeostat.engine import checkpoint
from homeostat.engine.state import differences
from homeostat.files import half_written
from homeostat.run import Run


@dataclass(frozen=True)
class Scenario:
    """Commands that end in one run."""

    name: str
    recipe: str
    flags: tuple[str, ...] = ()
    epochs: int = 0
    """Afterwards the run is extended to so many epochs; 0 for no extension."""


SCENARIOS = (
    Scenario("battery", "battery", ("--jobs", "2")),
    Scenario("icu", "icu"),
    Scenario("icu-stack", "icu", ("--model", "stack", "--jobs", "2")),
    Scenario("cell", "cell", ("--seeds", "2", "--jobs", "2")),
    Scenario("extension", "battery", ("--epochs", "2"), epochs=4),
    # A rate at which the loss becomes infinite: the remedies of --heal change the run, and are repeated by a resume.
    Scenario("heal", "icu", ("--learning-rate", "1e6", "--heal")),
)


class Trial:
    """One scenario in one folder, with its own clock of how long it takes."""

    def __init__(self, scenario: Scenario, root: Path) -> None:
        self.scenario, self.root = scenario, root
        self.longest_s = 0.0
        if not (root / "data").exists():
            self.finish(self.start("data", "simulate", scenario.recipe, "--out", "data"))

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command as the leader of a process group."""
        with (self.root / "console.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "homeostat", *words],
                cwd=self.root,
                env={**os.environ, "OMP_NUM_THREADS": "2"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end, which may be the halt of a guard."""
        code = process.wait()
        if code not in (0, 4):
            lines = (self.root / "console.txt").read_text(errors="replace").splitlines()[-25:]
            raise SystemExit(f"{self.scenario.name} ended with code {code}:\n" + "\n".join(lines))

    def commands(self, run: str) -> list[list[str]]:
        """The command that begins, and the one that extends."""
        scenario = self.scenario
        flags = ["--preset", "smoke", "--save-every", "2", *scenario.flags]
        listed = [["train", scenario.recipe, "--data", "data", "--stores", "stores", "--run", run, *flags]]
        return listed + ([["resume", run, "--epochs", str(scenario.epochs)]] if scenario.epochs else [])

    def undisturbed(self) -> None:
        """Run the commands, and note the seconds of the longest one."""
        for words in self.commands("whole"):
            began = time.monotonic()
            self.finish(self.start(*words))
            self.longest_s = max(self.longest_s, time.monotonic() - began)

    def under_fire(self, run: str, dice: random.Random, most: int) -> int:
        """Run the commands, killed several times each; return the number of kills."""
        kills = 0
        for words in self.commands(run):
            current = words
            while True:
                process, began = self.start(*current), time.monotonic()
                try:
                    # The moments of import, preparation, folds and the end all come.
                    wait_s = dice.uniform(0, self.longest_s / 2) if kills < most else None
                    process.wait(wait_s)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    kills += 1
                    current = self.next_command(run, words)
                    continue
                self.finish(process)
                if current is words:  # a busy machine was slower while it was undisturbed
                    self.longest_s = min(self.longest_s, time.monotonic() - began)
                break
        return kills

    def next_command(self, run: str, words: list[str]) -> list[str]:
        """What a person types after a kill: resume it, or type the same again if there is no run yet."""
        has_begun = (self.root / run / "config.json").exists()
        if not has_begun or words[0] == "resume":
            return words
        return ["resume", run, *(words[words.index("--jobs") :][:2] if "--jobs" in words else [])]


def ends(run: Run) -> dict[str, Any]:
    """The final state, predictions and scores of a run and of all runs inside it."""
    found: dict[str, Any] = {}
    for folder in sorted({path.parent for path in run.folder.rglob("step-*.ckpt")}):
        found[str(folder.relative_to(run.folder))] = checkpoint.read(checkpoint.ring(folder)[-1])["state"]
    return found


def tensors(state: Any) -> int:
    if isinstance(state, dict):
        return sum(map(tensors, state.values()))
    if isinstance(state, list | tuple):
        return sum(map(tensors, state))
    return int(hasattr(state, "untyped_storage"))


def compare(whole: Run, killed: Run) -> list[str]:
    """Every place in which the killed run ends differently."""
    expected, actual = ends(whole), ends(killed)
    faults = [] if list(expected) == list(actual) else [f"parts {list(expected)} and {list(actual)}"]
    for name in expected.keys() & actual.keys():
        faults += [f"{name}{place}" for place in differences(expected[name], actual[name])]
    files = {
        run: sorted(path.relative_to(run.folder) for path in run.folder.rglob("*.parquet"))
        for run in (whole, killed)
    }
    if files[whole] != files[killed]:
        faults.append(f"files {files[whole]} and {files[killed]}")
    for file in set(files[whole]) & set(files[killed]):
        if not pl.read_parquet(whole.folder / file).equals(pl.read_parquet(killed.folder / file)):
            faults.append(f"{file} has other rows")
    faults += [f"{path} is left behind" for path in half_written(killed.folder, "*")]
    return faults


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--kills", type=int, default=30, help="kills in all")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", choices=[scenario.name for scenario in SCENARIOS])
    options.add_argument("--keep", type=Path, help="work here and remove nothing")
    chosen = options.parse_args(arguments)
    scenarios = [each for each in SCENARIOS if chosen.only in (None, each.name)]
    root = chosen.keep or Path(tempfile.mkdtemp(prefix="homeostat-kills-"))
    different = 0
    for number, scenario in enumerate(scenarios):
        share = chosen.kills // len(scenarios) + (number < chosen.kills % len(scenarios))
        dice = random.Random(f"{chosen.seed} {scenario.name}")
        folder = root / scenario.name
        folder.mkdir(parents=True, exist_ok=True)
        trial = Trial(scenario, folder)
        trial.undisturbed()
        whole = Run(folder / "whole")
        kills = runs = 0
        while kills < share:
            runs += 1
            name = f"killed-{runs}"
            kills += trial.under_fire(name, dice, min(6, share - kills))
            faults = compare(whole, Run(folder / name))
            different += len(faults)
            for fault in faults[:10]:
                print(f"  {scenario.name} {name}: {fault}", flush=True)
            if not faults and not chosen.keep:
                shutil.rmtree(folder / name)
        count = tensors(ends(whole))
        print(
            f"{scenario.name:10} {kills:3} kills in {runs:3} runs of {trial.longest_s:4.0f} s; {count} tensors each",
            flush=True,
        )
    print(f"seed {chosen.seed}: {different} places differ")
    if not chosen.keep:
        shutil.rmtree(root)
    raise SystemExit(different > 0)


if __name__ == "__main__":
    main()
