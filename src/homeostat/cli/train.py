"""Begin runs and continue them: `train` makes the folder, `resume` goes on in it; both then do the same."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

import homeostat
from homeostat import console
from homeostat.cli import background, children, code, flags, judge, origin
from homeostat.cli.environment import environment
from homeostat.config import changed_keys, to_plain
from homeostat.engine import device as devices
from homeostat.engine import distributed, interrupt
from homeostat.engine.device import DeviceName
from homeostat.errors import ConfigError, DataError, RunError, command, exit_code_of
from homeostat.methods import workers
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run, create, find_all, is_unbegun, named, open_run, sealed


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
    jobs: int = 0
    """Child runs (folds, seeds, members) that are trained at a time, each in its own process; 0 takes as many as the
    machine has cores for. The results are the same bits for any number."""
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
    jobs: int = 0
    """Child runs that are trained at a time, each in its own process; 0 takes as many as there are cores for."""
    child: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME"), tyro.conf.UseAppendAction] = ()
    """Train only this child run (several times: these), whichever of them is free, and leave the rest of the run
    alone. Any number of processes on any number of machines may do so; `resume` without it gathers them."""
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
    if distributed.is_asked_for() and options.run is None:
        raise ConfigError(
            "Under torchrun name the run with --run FOLDER: every process, and a restart, has to find it."
        )
    if options.resume:
        folder = newest(recipe) if options.run is None else options.run
        _go(lambda: again(recipe, config, folder), folder, config.fit.device, options)
        return
    if options.data is None:
        raise ConfigError(
            f"Which data? Add --data PATH, or make some: homeostat data simulate {recipe.word} --out FOLDER."
        )
    if not options.data.exists():
        raise ConfigError(f"--data {options.data} does not exist.")
    folder = named(Path("runs"), recipe.name) if options.run is None else options.run
    data = options.data

    def make() -> Run:
        # torchrun starts all processes again, with the same words, after one of them died.
        if distributed.is_restart() and folder.exists():
            return again(recipe, config, folder)
        return begin(recipe, config, folder, data, options.stores)

    _go(make, folder, config.fit.device, options)


def newest(recipe: Recipe[Any]) -> Path:
    """The run of this recipe in runs/ that was made last."""
    runs = [one for one in find_all(Path("runs")) if one.config().get("recipe") == recipe.word]
    if not runs:
        raise RunError(f"There is no run of {recipe.name} in runs/ to resume. Name it with --run FOLDER.")
    return runs[-1].folder


def again(recipe: Recipe[Any], config: Any, folder: Path) -> Run:
    """A run that was made with this configuration, extended if more epochs are asked for now."""
    continued = open_run(folder)
    if continued.is_alive():
        raise RunError(f"{folder} is running. Follow it with `{command('logs', '-f', folder)}`.")
    changed = changed_keys(continued.config()["config"], to_plain(code.absolute(config)))
    # More epochs extend a run; with any other setting its first half would be another training than its second.
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
    # Before the folder is made: code that cannot be loaded must not leave a run behind.
    digests = code.digests_of(recipe, config)
    config = code.absolute(config)
    if is_unbegun(Run(folder)):
        console.say(f"{folder} failed before its first step; it is started anew.")
    run = create(
        folder,
        {
            "recipe": recipe.word,
            "homeostat": homeostat.__version__,
            "data": str(data.absolute()),
            "stores": str(stores.absolute()),
            "code": digests,
            "config": to_plain(config),
        },
    )
    run.environment(**environment())
    return run


def resume(words: Sequence[str]) -> None:
    """Continue a run, perhaps to another number of epochs."""
    options = flags.parse(ResumeOptions, words, "homeostat resume", "Continue a run.")
    if options.child:
        children.train(open_run(options.run), options.child)
        return
    _, config = origin.recipe_of(open_run(options.run))

    def make() -> Run:
        continued = open_run(options.run)
        if continued.is_alive():
            raise RunError(
                f"{options.run} is running. Follow it with `{command('logs', '-f', options.run)}`."
            )
        if options.epochs is not None:
            extend(continued, options.epochs)
        return continued

    _go(make, options.run, config.fit.device, options)


def extend(run: Run, epochs: int) -> None:
    """Give a run another number of epochs."""
    plain = run.config()
    _, config = origin.recipe_of(run)
    longer = dataclasses.replace(config, fit=dataclasses.replace(config.fit, epochs=epochs))
    changed = changed_keys(plain["config"], to_plain(longer))
    if not changed:
        console.say(f"{run.folder} has {epochs} epochs already.")
    sealed.write_json(run.config_file, {**plain, "config": to_plain(longer)})
    for line in changed:
        console.say(f"changed {line}")


def parse(recipe: Recipe[Any], words: Sequence[str]) -> tuple[Options, Any]:
    """Read the flags of `train`: its options, and every setting of the recipe."""
    return flags.with_settings(recipe, Options, words, f"homeostat train {recipe.word}", recipe.summary)


def _go(make: Callable[[], Run], folder: Path, device: DeviceName, options: Options | ResumeOptions) -> None:
    """Make the run and train it; under torchrun the first process makes it, and all train."""
    budget_s = None if options.stop_after is None else interrupt.seconds(options.stop_after)
    if options.detach and distributed.is_asked_for():
        raise ConfigError("--detach is not for torchrun, which stays with its processes. Leave it out.")
    with distributed.joined(devices.choose(device)[0]) as world:
        run = world.first_then_others(lambda: make() if world.is_first else open_run(folder))
        if options.detach:
            background.detach(run, options.stop_after, options.jobs)
        elif world.is_first:
            _start(run, budget_s, options.jobs)
        else:
            with contextlib.redirect_stdout(None):  # the first process tells
                execute(run, budget_s)


def execute(run: Run, budget_s: float | None = None, jobs: int = 1) -> None:
    """Prepare the data and train, until done or asked to stop; children in `jobs` processes, or in this one."""
    plain = run.config()
    recipe, config = origin.recipe_of(run)
    world = distributed.join(devices.choose(config.fit.device)[0])
    with interrupt.listening(budget_s), distributed.own_part(run, world) as mine:
        with mine.active():
            for sentence in origin.warn_of_changes(run) if world.is_first else ():
                mine.journal("code", sentence=sentence)
            # The first process builds it and the others find it: built by all at once, it would be built many times.
            store = world.first_then_others(
                lambda: recipe.prepare(config, Path(plain["data"]), Path(plain["stores"]))
            )
            for sentence in (*store.explanation, *store.report()):
                console.say(sentence)
            plan = recipe.plan(config, mine, store)
            names = list(plan.leaves())
            mine.journal(background.PLAN, trainings=len(names))
            mine.flush()  # whoever started this process in the background waits for it
            threads = children.threads_of(mine, len(names))
            if world.size == 1:
                children.ahead(mine, names, jobs=jobs, threads=threads, device=config.fit.device)
            with workers.using(threads):
                recipe.train(config, mine, store, plan)
            world.wait()
        if world.is_first:
            judge.refresh(run)  # afterwards: a report tells how the run ended


def _start(run: Run, budget_s: float | None, jobs: int) -> None:
    console.say(f"Run {run.folder}")
    try:
        execute(run, budget_s, jobs)
    except BaseException as error:
        # A note is printed after the error that it belongs to.
        error.add_note(_way_on(error, run))
        raise
    then = "report" if run.metrics_file.exists() else "evaluate"
    console.say(f"Done: {run.folder}\nNext: {command(then, run.folder)}")


def _way_on(error: BaseException, run: Run) -> str:
    """Say what to do after an error. What the same start would repeat has to be mended first."""
    repeats = exit_code_of(error) in (ConfigError.exit_code, DataError.exit_code)
    if repeats and is_unbegun(run):
        what = "with other flags" if isinstance(error, ConfigError) else "when that is mended"
        return f"Nothing was trained. Start again {what}; --run {run.folder} is free."
    way = f"Continue it with: {command('resume', run.folder)}"
    return (
        f"What was trained is kept, but the same start ends in the same way. Mend that first. {way}"
        if repeats
        else way
    )
