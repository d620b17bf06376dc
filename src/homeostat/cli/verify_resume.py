"""Prove that a resume is exact: train once undisturbed and once under SIGKILL, and compare every bit of the ends."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
import tyro

from homeostat import console
from homeostat.cli import data, flags, train
from homeostat.engine import checkpoint
from homeostat.engine.settings import Settings
from homeostat.engine.state import differences
from homeostat.errors import ConfigError, HomeostatError, RunError
from homeostat.files import half_written
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run

# A small checkpoint is half written for a moment only, and the kill must fall into it.
POLL_S = 0.0005
# One of so many kills waits until a checkpoint is half written: at random they fall there hardly ever.
WRITE_EVERY = 3


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Number and kind of kills, and what to train."""

    kills: int = 20
    """SIGKILLs at random moments, every third of them while a checkpoint is being written."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Raw data; left out, the recipe's simulated cohort."""
    preset: str = "smoke"
    """Named configuration to train."""
    seed: int = 0
    """Another seed kills at other moments."""
    keep: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Keep both runs here to look at; left out, they are removed."""


@dataclass
class Tally:
    """Counts of kills and runs so far."""

    kills: int = 0
    inside_writes: int = 0
    runs: int = 0


def run(command: str, words: Sequence[str]) -> None:
    """Run `verify-resume`."""
    recipe, rest = flags.recipe_first(command, words)
    options = flags.parse(Verify, rest, f"homeostat {command} {recipe.word}", "Kill, resume, compare.")
    if os.name != "posix":
        raise ConfigError("verify-resume needs SIGKILL and fork, which only Linux and macOS have.")
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-verify-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        verify(recipe, options, folder)


def verify(recipe: Recipe[Any], options: Verify, folder: Path) -> None:
    """Raise RunError with the first differences, if there are any."""
    log = folder / "console.txt"
    raw, stores = options.data or folder / "cohort", folder / "stores"
    if options.data is None:
        Life(lambda: data.simulate(recipe, raw, 0), log).finish()
    importlib.import_module("torch._dynamo")  # every optimiser loads it; the forked processes need not, then
    config = recipe.preset(options.preset)
    whole = train.begin(recipe, config, folder / "whole", raw, stores)
    began = time.monotonic()
    Life(lambda: train.execute(whole), log).finish()
    took_s = time.monotonic() - began
    steps = sum(end["step"] for end in _ends(whole).values())
    console.say(f"Undisturbed: {steps} steps in {console.duration(took_s)}.")
    # About four saves between two kills, so that each resume comes from another checkpoint.
    config = saving_every(config, max(1, steps // (4 * options.kills)))
    tally, dice = Tally(), random.Random(options.seed)
    while tally.kills < options.kills:
        tally.runs += 1
        killed = train.begin(recipe, config, folder / f"killed-{tally.runs}", raw, stores)
        before, began = tally.kills, time.monotonic()
        _train_under_fire(killed, log, took_s, options.kills, tally, dice)
        if tally.kills == before:  # over before it was hit: the undisturbed run was longer, it compiled
            took_s = min(took_s, time.monotonic() - began)
        _compare(whole, killed)
        console.say(f"{killed.name}: ends with the same bits, after {tally.kills} kills in all.")
    tensors = sum(_count(end) for end in _ends(whole).values())
    console.say(
        f"verify-resume {recipe.name}: passed. {tally.kills} SIGKILLs, {tally.inside_writes} of them inside the "
        f"write of a checkpoint, in {tally.runs} runs; all {tensors} tensors of the final State are equal bit for bit."
    )


def saving_every(config: Any, steps: int) -> Any:
    """Return the configuration with a checkpoint every so many steps, for all fits that it describes."""
    changed = {}
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if isinstance(value, Settings):
            changed[part.name] = dataclasses.replace(
                value, saving=dataclasses.replace(value.saving, save_every=steps)
            )
    return dataclasses.replace(config, **changed)


def _train_under_fire(
    run: Run, log: Path, took_s: float, kills: int, tally: Tally, dice: random.Random
) -> None:
    """Start the run again and again, kill it after a random while, until it ends or was killed often enough."""
    while True:
        life = _start(run, log)
        if tally.kills < kills:
            # In the mean one kill per share of the run; uniform, so that no moment is spared.
            life.wait(dice.uniform(0, 2 * took_s / (kills + 1)))
            if tally.kills % WRITE_EVERY == 0:
                life.wait_until(lambda: _is_writing(run))
        if tally.kills >= kills or life.is_over():
            life.finish()
            return
        life.kill()
        tally.kills += 1
        tally.inside_writes += _is_writing(run)


def _start(run: Run, log: Path) -> Life:
    """Start a process on the run and wait for its first event."""
    before = _journal_size(run)
    life = Life(lambda: train.execute(run), log)
    life.wait_until(lambda: _journal_size(run) > before)
    return life


class Life:
    """One process of a run, from its start to its end or to its kill. Forked, so that torch is loaded once."""

    def __init__(self, work: Callable[[], None], log: Path) -> None:
        self._log = log
        self._code: int | None = None
        # A new process costs 4 s, because it imports torch; a fork 0.1 s. 50 kills take 12 s (log/engine.md).
        self._pid = os.fork()
        if self._pid == 0:
            _live(work, log)

    def is_over(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds or the process is over."""
        while not condition() and not self.is_over():
            time.sleep(POLL_S)

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() > until)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self.wait_until(lambda: False)

    def finish(self) -> None:
        """Wait for the end; anything but success is an error that shows the last lines of the process."""
        self.wait_until(lambda: False)
        if self._code:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
            raise RunError("A run of verify-resume failed, so nothing is proven:\n" + "\n".join(lines))


def _live(work: Callable[[], None], log: Path) -> NoReturn:
    """Do the work in the forked process, and leave without returning into the parent's program."""
    code = 1
    try:
        with log.open("ab") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        work()
        code = 0
    except HomeostatError as error:
        console.fail(str(error))
        code = error.exit_code
    except BaseException:  # the log and the exit code show it; there is no caller to raise to
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


def _compare(whole: Run, killed: Run) -> None:
    expected, actual = _ends(whole), _ends(killed)
    if list(expected) != list(actual):
        raise RunError(f"The killed run has the parts {list(actual)}, the undisturbed one {list(expected)}.")
    for name in expected:
        unequal = differences(expected[name], actual[name])
        if unequal:
            listed = "\n".join(unequal[:10])
            raise RunError(f"{killed.folder} ({name}) ends differently in {len(unequal)} places:\n{listed}")


def _ends(run: Run) -> dict[str, dict[str, Any]]:
    """Return the final State of a run and of all runs inside it, by path."""
    ends = {}
    for folder in sorted({path.parent for path in run.folder.rglob("step-*.ckpt")}):
        last = checkpoint.ring(folder)[-1]
        if not checkpoint.is_intact(last):
            raise RunError(f"{last} is damaged at the end of a run.")
        ends[str(folder.relative_to(run.folder))] = checkpoint.read(last)["state"]
    return ends


def _journal_size(run: Run) -> int:
    return sum(path.stat().st_size for path in run.folder.rglob(run.journal_file.name))


def _is_writing(run: Run) -> bool:
    return bool(half_written(run.folder, "*.ckpt"))


def _count(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return 1
    if isinstance(value, Mapping):
        return sum(_count(item) for item in value.values())
    return sum(_count(item) for item in value) if isinstance(value, list | tuple) else 0
