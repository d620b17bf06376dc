"""The life of a run: one process holds its lock, keeps its status true, and writes its journal."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from homeostat.errors import (
    Halted,
    HomeostatError,
    Interrupted,
    OutOfResources,
    exhausted,
    exit_code_of,
    unwritable,
)
from homeostat.files import write_json
from homeostat.run import status
from homeostat.run.journal import is_torn, line_of
from homeostat.run.lock import locked

State = Literal["done", "halted", "failed", "interrupted"]

# Long enough not to matter for the disk, short enough that `homeostat runs` shows a live run.
HEARTBEAT_S = 5.0
# The journal waits in memory for this long, so that no step waits for the disk.
FLUSH_S = 1.0


def now() -> str:
    """Return the time of day in UTC, for people; durations are measured by a clock that never jumps."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def alive(run: str, journal_file: Path, status_file: Path) -> Iterator[Life]:
    """Own a run: lock it by its journal, keep its status true, and record how it ended."""
    stream = locked(journal_file, run)
    try:
        life = Life(stream, journal_file, status_file)
        life.begin()
        try:
            yield life
        except BaseException as error:
            reason = exhausted(error)
            life.end(reason or error)
            if reason is not None:
                raise reason from error
            raise
        life.end(None)
    finally:
        with suppress(OSError):  # lines that found no room: the end or the error before it has said so
            stream.close()


class Life:
    """Writes journal and status while its process owns a run. A thread brings both to the disk."""

    def __init__(self, stream: IO[str], journal_file: Path, status_file: Path) -> None:
        self._stream, self._journal_file, self._status_file = stream, journal_file, status_file
        self._status: dict[str, Any] = {}
        self._saved_s = 0.0
        self._writing = threading.Lock()
        self._over = threading.Event()
        # A daemon: a process that ends without a word must not wait for its heartbeat.
        self._heart = threading.Thread(target=self._beat, name="homeostat-heartbeat", daemon=True)

    def begin(self) -> None:
        """Write the first status and start the heartbeat."""
        before = status.read(
            self._status_file
        )  # a run that is done has nothing to score anew: its score stays
        self.progress(**{name: before[name] for name in ("step", "total", "score") if name in before})
        self.progress(state="running", pid=os.getpid(), host=socket.gethostname(), started=now())
        if is_torn(self._journal_file):
            self._append("\n")
        self._save_status()
        self._heart.start()

    def end(self, error: BaseException | None) -> None:
        """Stop the heartbeat and write how the run ended."""
        # The thread first: it must not write "running" over the state in which the run ended.
        self._over.set()
        self._heart.join()
        state, reason = _ending(error)
        try:
            if state == "failed" and error is not None:
                self.journal("failed", reason=reason, traceback=traceback.format_exception(error))
            self.progress(eta_s=0 if state == "done" else None)
            self.progress(state=state, reason=reason, exit_code=exit_code_of(error))
            self._save_status()
            self.flush()
        except OutOfResources:
            # The disk that ended the run cannot hold this news either; the exit code and the terminal do.
            if error is None:
                raise

    def progress(self, **values: Any) -> None:
        """Note values of the status; the heartbeat writes them down."""
        self._status |= values

    def journal(self, kind: str, **values: Any) -> None:
        """Append one event; it waits in memory for the heartbeat."""
        self._append(line_of({"time": now(), "kind": kind, **values}))

    def flush(self) -> None:
        """Bring the journal to the disk now."""
        with self._writing:
            try:
                self._stream.flush()
            except OSError as error:
                raise unwritable(error, self._journal_file) from error

    def _append(self, line: str) -> None:
        with self._writing:
            try:
                self._stream.write(line)
            except OSError as error:
                raise unwritable(error, self._journal_file) from error

    def _save_status(self) -> None:
        with self._writing:
            # Not durable: after a loss of power a status of five seconds ago would be as wrong.
            write_json(self._status_file, {**self._status, "heartbeat": now()}, durable=False)
            self._saved_s = time.monotonic()

    def _beat(self) -> None:
        # By itself: while an evaluation takes minutes, no step comes that could flush (log/engine.md).
        while not self._over.wait(FLUSH_S):
            try:
                self.flush()
                if time.monotonic() - self._saved_s > HEARTBEAT_S:
                    self._save_status()
            except HomeostatError:
                continue  # the next checkpoint meets the same disk, on the thread that can end the run


def _ending(error: BaseException | None) -> tuple[State, str]:
    """Return the state in which an error leaves a run, and its reason."""
    if error is None:
        return "done", ""
    if isinstance(error, Halted):
        return "halted", str(error)
    if isinstance(error, Interrupted | OutOfResources):
        return "interrupted", str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "interrupted by the keyboard"
    return "failed", f"{type(error).__name__}: {error}"
