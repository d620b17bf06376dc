"""Train the child runs of a plan in several processes. Each walks the same names; the lock of a child decides.

A worker is `homeostat resume RUN --child NAME ...`, in a process of its own. Nothing else passes between it and the
run that started it, so a cluster can do the same with the same command: train the children anywhere, in any order,
and resume the run to gather them.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import torch

from homeostat import console
from homeostat.errors import HomeostatError, OutOfResources, with_exit_code
from homeostat.run import Run

# Marks a worker in its environment: its standard input is a line to the process that started it.
MARK = "HOMEOSTAT_WORKER"
# A twentieth of a second: nobody waits for it, and it costs no processor time that can be seen.
POLL_S = 0.05
# Deaths in a row between which no child came to its end: the next one would die at the same place.
MOST_DEATHS = 3
# An interrupted worker saves and stops within a step; one that is stuck is ended after this time.
PATIENCE_S = 60.0


def threads_per_child(children: int) -> int:
    """Threads of every training. It depends on the plan, not on how many train at a time: threads change sums."""
    # With two threads instead of one, 118 values of the state of a small fit differ in their last bits (log/engine.md).
    return max(1, torch.get_num_threads() // max(1, children))


def most_jobs(children: int, threads: int) -> int:
    """How many children this machine can train at a time without them waiting for each other."""
    return max(1, min(children, torch.get_num_threads() // threads))


@contextlib.contextmanager
def using(threads: int) -> Iterator[None]:
    """Compute with this number of threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_worker() -> bool:
    """Say whether this process was started by `train` below."""
    return MARK in os.environ


class Worker:
    """One process that trains whichever of the children are free."""

    def __init__(self, run: Run, names: Sequence[str], threads: int) -> None:
        command = [sys.executable, "-m", "homeostat", "resume", str(run.folder.absolute())]
        command += [word for name in names for word in ("--child", name)]
        # Before its first import: OpenMP reads it once, when it is loaded.
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), MARK: "1"}
        # Its standard input ends when this process ends, however it ends: then the worker leaves too.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        self.last_line = ""
        assert self.process.stderr is not None
        self._reader = threading.Thread(target=self._forward, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def _forward(self, lines: IO[bytes]) -> None:
        for line in lines:
            self.last_line = line.decode(errors="replace").rstrip()
            if not self.last_line.startswith("error: "):
                console.note(self.last_line)

    def end(self) -> None:
        """Ask for an orderly end, and wait for it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stderr):
            if stream is not None:
                stream.close()


def train(
    run: Run, names: Sequence[str], *, jobs: int, threads: int, is_finished: Callable[[str], bool]
) -> None:
    """Train these children, `jobs` at a time, until all have ended. The first one that fails ends the others."""
    workers = [Worker(run, _turned(names, place, jobs), threads) for place in range(jobs)]
    deaths = finished = 0
    try:
        while workers:
            time.sleep(POLL_S)
            for worker in [one for one in workers if one.process.poll() is not None]:
                workers.remove(worker)
                worker.end()
                code = worker.process.returncode
                if code > 0:
                    raise _failure(code, worker.last_line)
                # A negative code is the signal that killed it; a positive one is its own verdict.
                if code < 0:
                    before, finished = finished, sum(map(is_finished, names))
                    deaths = deaths + 1 if finished == before else 1
                    if deaths > MOST_DEATHS:
                        raise OutOfResources(
                            f"Workers of run {run.name} were killed {deaths} times in a row (signal {-code}). "
                            "Perhaps memory runs out: resume it with fewer --jobs."
                        )
                    console.warn(f"A worker was killed (signal {-code}); another one goes on where it was.")
                    workers.append(Worker(run, names, threads))
    finally:
        for worker in workers:
            worker.end()


def _turned(names: Sequence[str], place: int, jobs: int) -> list[str]:
    """The same names from another start, so that workers do not queue for the same child."""
    start = math.ceil(len(names) * place / jobs)
    return [*names[start:], *names[:start]]


def _failure(code: int, line: str) -> HomeostatError:
    """The error of a worker, as one of this process, with the same exit code."""
    return with_exit_code(code, line.removeprefix("error: ") or f"A worker ended with exit code {code}.")
