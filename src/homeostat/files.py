"""Files that are whole or absent: written under another name, synced, and renamed into place."""

from __future__ import annotations

import glob
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from homeostat.errors import unwritable

try:
    import fcntl
except ImportError:  # Windows: nothing tells a scratch file that a kill left from one that is being written
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

_SCRATCH = ".part"


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Lend a scratch file that takes the name `path` at the end; after an error the old file is still there.

    Each writer has a scratch file of its own, so two that write the same file do not meet: the last one to end wins.
    A kill leaves its scratch file behind, and the next write of the same file removes it. Its lock tells it from one
    that is being written: a lock ends with its process, which neither a process number nor an age would show.
    The scratch name ends in .part, so a writer that goes by the suffix must be told its format.

    A file that is not `durable` survives the process, but perhaps not a loss of power.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
        clear(path.parent, glob.escape(path.name))
        with _scratch(path) as scratch:
            yield scratch
            if durable:
                sync(scratch)
            os.replace(scratch, path)
            if durable:
                sync_folder(path.parent)
    except OSError as error:
        raise unwritable(error, path) from error


def half_written(folder: Path, pattern: str) -> list[Path]:
    """Return the scratch files in a folder and below it, of files with a name of that pattern."""
    return list(folder.rglob(_scratch_pattern(pattern)))


def clear(folder: Path, pattern: str = "*") -> None:
    """Remove the scratch files of writers that were killed, of files with a name of that pattern."""
    if not _HAS_LOCKS:
        return
    for scratch in folder.glob(_scratch_pattern(pattern)):
        with suppress(OSError):  # it has an owner, or has gone since
            handle = os.open(scratch, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                scratch.unlink()
            finally:
                os.close(handle)


def clear_below(folder: Path) -> None:
    """Remove the scratch files of writers that were killed, in a folder and in those inside it."""
    for parent in {scratch.parent for scratch in half_written(folder, "*")}:
        clear(parent)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Make an empty file beside `path` that no other writer has, and lock it as long as it is there."""
    while True:
        scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SCRATCH}")
        handle = os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if not _HAS_LOCKS:  # Windows renames no file that is open
            os.close(handle)
            break
        with suppress(OSError):  # a disk that knows no locks: there a scratch file that a kill left stays
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            break
        os.close(handle)  # another writer took it for an old one before it was locked
    try:
        yield scratch
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        if _HAS_LOCKS:
            os.close(handle)


def _scratch_pattern(name: str) -> str:
    return f".{name}.{'?' * 8}{_SCRATCH}"


def sync(path: Path) -> None:
    """Bring what was written into a file to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; whoever else wants it waits."""
    if not _HAS_LOCKS:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a disk that knows no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make the rename durable; Windows cannot open a folder and does this by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write one JSON object so that a reader sees the old file or the new one, never half of it."""
    with replacing(path, durable=durable) as scratch:
        scratch.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")
