"""Name the errors that a user can act on, each with the exit code of the command line.

HomeostatError
    ConfigError     2   a setting, flag, key or recipe name is wrong
    RunError        2   a run folder cannot be used as asked
      InUse         2   another process trains the run at this moment
    CheckpointError 2   a checkpoint is foreign, too old, or does not fit the model
    DataError       3   the data is missing, broken, or not what was declared
    Halted          4   a guard stopped the run
    Unsolved        4   a differential equation could not be solved as asked
    Interrupted     5   a signal or a time budget ended the run; it can be resumed
    OutOfResources  6   the disk or the memory is exhausted; it can be resumed

A message says what is wrong with the value, what was expected, and what to do next.
"""

from __future__ import annotations

import difflib
import errno
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar


class HomeostatError(Exception):
    """An error that a user can act on; everything else is a defect of this package."""

    exit_code: ClassVar[int] = 1


class ConfigError(HomeostatError):
    """A setting, flag, key or recipe name is wrong."""

    exit_code = 2


class RunError(HomeostatError):
    """A run folder cannot be used as asked."""

    exit_code = 2


class InUse(RunError):
    """Another process trains the run at this moment."""


class CheckpointError(HomeostatError):
    """A checkpoint is foreign, too old, or does not fit the model."""

    exit_code = 2


class DataError(HomeostatError):
    """The data is missing, broken, or not what was declared."""

    exit_code = 3


class Halted(HomeostatError):
    """A guard stopped the run after an alarm of level halt."""

    exit_code = 4


class Unsolved(HomeostatError):
    """A differential equation could not be solved as asked."""

    exit_code = 4


class Interrupted(HomeostatError):
    """A signal or a time budget ended the run; its state is on disk and can be resumed."""

    exit_code = 5


class OutOfResources(HomeostatError):
    """The disk or the memory is exhausted; the last good state is on disk and can be resumed."""

    exit_code = 6


# A full disk, a full quota, and a file that may not grow.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def exit_code_of(error: BaseException | None) -> int:
    """Return the code with which a command ends after this error."""
    if isinstance(error, HomeostatError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return Interrupted.exit_code
    return 0 if error is None else 1


def with_exit_code(code: int, sentence: str) -> HomeostatError:
    """Return the error of another process as one of this process, with the same exit code."""
    kinds = (RunError, DataError, Halted, Interrupted, OutOfResources)
    kind = next((kind for kind in kinds if kind.exit_code == code), HomeostatError)
    return kind(sentence)


def command(*words: object) -> str:
    """Write a command of ours that can be pasted, also where a path has a space in it."""
    return shlex.join(["homeostat", *map(str, words)])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known word, else list the known words; the sentence begins with a space."""
    names = sorted(known)
    nearest = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if nearest:
        return f" Did you mean {nearest[0]!r}?"
    return f" Known: {', '.join(names) or 'none'}."


# Words of allocators that raise a plain RuntimeError: torch's CPU allocator, cuBLAS and cuDNN workspaces, MPS.
_MEMORY = (
    "DefaultCPUAllocator",
    "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)


def is_memory(error: BaseException) -> bool:
    """Say whether an exception means that memory ran out. Knows torch's errors without importing torch."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _MEMORY)


def exhausted(error: BaseException) -> OutOfResources | None:
    """Translate an error of the system or a library that means that something ran out; None for any other."""
    if is_memory(error) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return OutOfResources(
            "The memory is exhausted. Use a smaller batch or model, close other programs, or raise the limit "
            "(ulimit -v, the memory of the job), then go on."
        )
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return OutOfResources(
            "No thread could be started: the memory or the number of threads is limited. Raise the limit "
            "(ulimit -v, ulimit -u), then go on."
        )
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return OutOfResources("Too many files are open. Raise the limit (ulimit -n 1024), then go on.")
    if isinstance(error, OSError) and error.errno in _FULL:
        where = f" to write {error.filename}" if error.filename else " on the disk"
        return OutOfResources(f"No room{where}: {error.strerror}. Free some space, then go on.")
    return None


def unwritable(error: OSError, path: Path) -> HomeostatError:
    """Name the reason why a file could not be written, as the error that has the right exit code."""
    if error.errno in _FULL:
        return OutOfResources(f"No room to write {path}: {error.strerror}. Free some space, then go on.")
    if (reason := exhausted(error)) is not None:
        return reason
    return RunError(f"{path} cannot be written: {error.strerror}. Make the folder writable, then go on.")
