"""The lock of a run: one process holds it, and it ends with that process, however the process ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO, Any

from homeostat.errors import InUse, command, unwritable
from homeostat.run import manifest

# An owner-to-be tries again: whoever only asks shares the lock, for microseconds.
_WAITS_S = (0.1, 0.1, 0.1, 0.0)


def locked(path: Path, run: str) -> IO[str]:
    """Open a file to append to it, and hold its lock until it is closed."""
    _refuse_other_kinds(path)
    try:
        stream = path.open("a", encoding="utf-8")
    except OSError as error:
        raise unwritable(error, path) from error
    if _lock(stream, _WAITS_S):
        return stream
    stream.close()
    raise InUse(
        f"Run {run} is being trained by another process. Follow it with `{command('logs', '-f', path.parent)}`, "
        f"or end it with `{command('stop', path.parent)}`."
    )


def is_locked(path: Path) -> bool:
    """Say whether some process holds the lock of a file. Neither a stale process number nor a clock can lie here."""
    if not manifest.exists(path):
        return False
    with manifest.opened(path) as stream:
        return not _lock(stream, (0.0,))


def _refuse_other_kinds(path: Path) -> None:
    """Refuse a folder, a link or a pipe in the place of the file, before anything waits for it."""
    if manifest.exists(path):
        with manifest.opened(path):
            pass


def _lock(stream: IO[Any], waits_s: tuple[float, ...]) -> bool:
    """Lock an open file, shared by readers; False if another process holds it after all waits."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes on one run are not noticed there
        return True
    kind = fcntl.LOCK_EX if stream.writable() else fcntl.LOCK_SH
    for wait_s in waits_s:
        try:
            # The kernel takes the lock away when the process ends, however it ends; a file with a process number would
            # stay.
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(wait_s)
    return False
