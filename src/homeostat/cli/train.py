"""How does a run begin and go on? `train` makes the folder, `resume` continues it; both then do the same."""

from __future__ import annotations

import dataclasses
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

import homeostat
from homeostat import console
from homeostat.cli import flags, judge
from homeostat.config import differences, from_plain, to_plain
from homeostat.engine import interrupt
from homeostat.errors import ConfigError, RunError
from homeostat.recipes import find
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run, create, find_all, named, open_run, write_json


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where to read and write; none of these changes a result."""

    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Folder or file with the raw data."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder of the new run; left out, runs/RECIPE-DATE-TIME."""
    stores: Path = Path("stores")
    """Folder for prepared data."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Named configuration of the recipe to start from; other flags change it."""
    detach: bool = False
    """Train in the background, in a session of its own: closing the terminal does not end it."""
    stop_after: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """Time budget such as 25m: save and stop then, resumable."""
    resume: bool = False
    """Continue the run of --run, or the newest of this recipe, instead of making one. Give the flags that it was made
    with; only --epochs may differ."""


@dataclass(frozen=True, kw_only=True)
class ResumeOptions:
    """How to continue."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    epochs: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Extend (or shorten) the run to this many epochs; the schedule is planned anew."""
    detach: bool = False
    """Train in the background, in a session of its own."""
    stop_after: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """Time budget such as 25m: save and stop then, resumable."""


def run(command: str, words: Sequence[str]) -> None:
    """Run `train` or `resume`."""
    if command == "train":
        train(words)
    else:
        resume(words)


def train(words: Sequence[str]) -> None:
    """Make a run and train it."""
    recipe, rest = flags.recipe_first("train", words)
    options, config = parse(recipe, rest)
    budget_s = None if options.stop_after is None else interrupt.seconds(options.stop_after)
    if options.resume:
        _start(again(recipe, config, options.run), options.detach, budget_s, options.stop_after)
        return
    if options.data is None:
        raise ConfigError(
            f"Which data? Add --data PATH, or make some: homeostat data simulate {recipe.name} --out FOLDER."
        )
    if not options.data.exists():
        raise ConfigError(f"--data {options.data} does not exist.")
    folder = named(Path("runs"), recipe.name) if options.run is None else options.run
    _start(
        begin(recipe, config, folder, options.data, options.stores),
        options.detach,
        budget_s,
        options.stop_after,
    )


def again(recipe: Recipe[Any], config: Any, folder: Path | None) -> Run:
    """A run that was made with this configuration, extended if more epochs are asked for now."""
    if folder is None:
        made = [one for one in find_all(Path("runs")) if one.config().get("recipe") == recipe.name]
        if not made:
            raise RunError(f"There is no run of {recipe.name} in runs/ to resume. Name it with --run FOLDER.")
        folder = made[-1].folder
    continued = open_run(folder)
    if continued.is_alive():
        raise RunError(f"{folder} is running. Follow it with `homeostat logs -f {folder}`.")
    changed = differences(continued.config()["config"], to_plain(config))
    foreign = [line for line in changed if not line.startswith("fit.epochs:")]
    if foreign:
        raise ConfigError(
            f"{folder} was made with other settings ({'; '.join(foreign)}). Give the same flags, or start a new run."
        )
    if changed:
        extend(continued, config.fit.epochs)
    return continued


def begin(recipe: Recipe[Any], config: Any, folder: Path, data: Path, stores: Path) -> Run:
    """Make the folder of a run, with everything in it that `resume` needs."""
    if Run(folder).is_unbegun():
        console.say(f"{folder} failed before its first step; it is started anew.")
    made = create(
        folder,
        {
            "recipe": recipe.name,
            "homeostat": homeostat.__version__,
            "data": str(data.absolute()),
            "stores": str(stores.absolute()),
            "config": to_plain(config),
        },
    )
    made.environment(**environment())
    return made


def resume(words: Sequence[str]) -> None:
    """Continue a run, perhaps to another number of epochs."""
    options = flags.parse(ResumeOptions, words, "homeostat resume", "Continue a run.")
    continued = open_run(options.run)
    if continued.is_alive():
        raise RunError(f"{options.run} is running. Follow it with `homeostat logs -f {options.run}`.")
    budget_s = None if options.stop_after is None else interrupt.seconds(options.stop_after)
    if options.epochs is not None:
        extend(continued, options.epochs)
    _start(continued, options.detach, budget_s, options.stop_after)


def extend(run: Run, epochs: int) -> None:
    """Give a run another number of epochs."""
    plain = run.config()
    recipe = find(plain["recipe"])
    config = from_plain(recipe.config, plain["config"])
    longer = dataclasses.replace(config, fit=dataclasses.replace(config.fit, epochs=epochs))
    changed = differences(plain["config"], to_plain(longer))
    if not changed:
        console.say(f"{run.folder} has {epochs} epochs already.")
    write_json(run.config_file, {**plain, "config": to_plain(longer)})
    for line in changed:
        console.say(f"changed {line}")


def parse(recipe: Recipe[Any], words: Sequence[str]) -> tuple[Options, Any]:
    """Read the flags of `train`: its options, and every setting of the recipe."""
    default = recipe.preset(flags.value_of("--preset", words))
    both = dataclasses.make_dataclass(
        "Train",
        [
            ("options", Options, dataclasses.field(default_factory=Options)),
            ("config", recipe.config, dataclasses.field(default=default)),
        ],
        frozen=True,
    )
    parsed: Any = flags.parse(both, words, f"homeostat train {recipe.name}", recipe.summary)
    return parsed.options, parsed.config


def execute(run: Run, budget_s: float | None = None) -> None:
    """Prepare the data and train, in this process, until done or asked to stop."""
    plain = run.config()
    recipe = find(plain["recipe"])
    config = from_plain(recipe.config, plain["config"])
    with interrupt.listening(budget_s):
        with run.active():
            store = recipe.prepare(config, Path(plain["data"]), Path(plain["stores"]))
            for sentence in (*store.explanation, *store.report()):
                console.say(sentence)
            recipe.train(config, run, store)
        judge.refresh(run)  # afterwards: a report tells how the run ended


def _start(run: Run, is_detached: bool, budget_s: float | None, budget: str | None) -> None:
    if is_detached:
        _detach(run, budget)
        return
    console.say(f"Run {run.folder}")
    try:
        execute(run, budget_s)
    except BaseException as error:
        # A note is printed after the error that it belongs to.
        if isinstance(error, ConfigError) and run.is_unbegun():
            error.add_note(f"Nothing was trained. Start again with other flags; --run {run.folder} is free.")
        else:
            error.add_note(f"Continue it with: homeostat resume {run.folder}")
        raise
    then = "report" if run.metrics_file.exists() else "evaluate"
    console.say(f"Done: {run.folder}\nNext: homeostat {then} {run.folder}")


def _detach(run: Run, budget: str | None) -> None:
    """Start `resume` in a new session of the operating system, so that no closing terminal reaches it."""
    if os.name != "posix":
        raise ConfigError(
            "--detach needs Linux or macOS. Leave it out, and start the run in a terminal of its own."
        )
    command = [sys.executable, "-m", "homeostat.cli", "resume", str(run.folder.absolute())]
    command += [] if budget is None else ["--stop-after", budget]
    with run.console_file.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    process.returncode = 0  # it outlives us on purpose; without this, Popen warns that nobody waited for it
    console.say(f"Run {run.folder} goes on in the background (process {process.pid}).")
    console.say(
        f"Next: homeostat logs -f {run.folder}, homeostat status {run.folder}, homeostat stop {run.folder}"
    )


def environment() -> dict[str, Any]:
    """What else a number may depend on: versions, code, machine."""
    import numpy
    import torch

    return {
        "homeostat": homeostat.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "git": _git(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "command": sys.argv,
    }


def _git() -> str | None:
    """Commit of the code, with a + if it was changed since; None for an installed package."""
    try:
        where = Path(homeostat.__file__).parent
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40"],
            cwd=where, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
