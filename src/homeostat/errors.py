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


def exit_code_of(error: BaseException | None) -> int:
    """Return the code with which a command ends after this error."""
    if isinstance(error, HomeostatError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return Interrupted.exit_code
    return 0 if error is None else 1


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known word, else list the known words; the sentence begins with a space."""
    names = sorted(known)
    nearest = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if nearest:
        return f" Did you mean {nearest[0]!r}?"
    return f" Known: {', '.join(names) or 'none'}."


def unwritable(error: OSError, path: Path) -> HomeostatError:
    """Name the reason why a file could not be written, as the error that has the right exit code."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutOfResources(f"No room to write {path}: {error.strerror}. Free some space, then go on.")
    return RunError(f"{path} cannot be written: {error.strerror}. Make the folder writable, then go on.")
