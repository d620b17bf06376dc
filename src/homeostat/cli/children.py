"""Train the child runs of a run: ahead of it in several processes, or as one of those processes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from homeostat.cli import origin
from homeostat.engine import device as devices
from homeostat.engine import interrupt
from homeostat.engine.device import DeviceName
from homeostat.errors import ConfigError, InUse
from homeostat.methods import crossfit, workers
from homeostat.run import Run


def threads_of(run: Run, children: int) -> int:
    """The threads of every training of a run. The first start decides: other threads add in another order."""
    # Kept in the run: it may be resumed on a machine with other cores, and must end with the same bits.
    known = run.kept(run.environment_file).get("threads")
    threads = workers.threads_per_child(children) if known is None else int(known)
    run.environment(threads=threads)
    return threads


def ahead(run: Run, names: Sequence[str], *, jobs: int, threads: int, device: DeviceName) -> None:
    """Train the children in several processes, where that is asked for, or where it is of use."""
    if jobs < 0:
        raise ConfigError(f"--jobs {jobs} must be at least 1, or 0 for as many as there are cores for.")
    on_cpu = devices.choose(device)[0].type == "cpu"
    # On a device one process at a time: several would share its memory, and the first to need more would die.
    most = workers.most_jobs(len(names), threads) if on_cpu else 1
    chosen = min(jobs or most, len(names))
    open_names = [name for name in names if not _is_finished(run, name)]
    if chosen > 1 and len(open_names) > 1:
        workers.train(
            run,
            open_names,
            jobs=min(chosen, len(open_names)),
            threads=threads,
            is_finished=lambda name: _is_finished(run, name),
        )


def _is_finished(run: Run, path: str) -> bool:
    name, _, rest = path.partition("/")
    place = run.child(name)
    return _is_finished(place, rest) if rest else crossfit.is_finished(run, place)


def train(run: Run, names: Sequence[str]) -> None:
    """Train whichever of these children are free; those that another process holds are its own."""
    plain = run.config()
    recipe, config = origin.recipe_of(run)
    _leave_with_parent()
    with interrupt.listening(None):
        store = recipe.prepare(config, Path(plain["data"]), Path(plain["stores"]))
        plan = recipe.plan(config, run, store)
        with workers.using(threads_of_worker(run)):
            for name in names:
                # Another process has this one: workers walk the same names, and the lock of a child decides.
                with contextlib.suppress(InUse):
                    crossfit.train_leaf(plan, name, run)


def threads_of_worker(run: Run) -> int:
    """The number that the run has decided on; this process alone decides where there is none yet."""
    known = run.kept(run.environment_file).get("threads")
    return workers.threads_per_child(2) if known is None else int(known)


def _leave_with_parent() -> None:
    """End at once when the process that started this one is gone. Its end closes our standard input."""
    if not workers.is_worker():
        return

    def wait() -> None:
        while os.read(0, 1):  # not through sys.stdin, whose lock would be missed when the process ends
            pass
        os._exit(1)  # as after a kill: the next start goes on from the last checkpoint

    threading.Thread(target=wait, daemon=True, name="homeostat-parent").start()
