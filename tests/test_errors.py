"""Errors of the system and of libraries that mean that something ran out have one exit code and one piece of advice."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from homeostat.errors import OutOfResources, RunError, exhausted, unwritable


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (MemoryError(), "ulimit -v"),
        (torch.OutOfMemoryError("CUDA out of memory."), "smaller batch"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "smaller batch"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "ulimit -v"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "ulimit -n"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.ckpt"), "No room to write a.ckpt"),
    ],
)
def test_what_ran_out_is_named_and_can_be_resumed(error: BaseException, advice: str) -> None:
    reason = exhausted(error)
    assert isinstance(reason, OutOfResources)
    assert advice in str(reason)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(errno.EACCES, "denied"), ValueError("x")]
)
def test_other_errors_are_what_they_are(error: BaseException) -> None:
    assert exhausted(error) is None


def test_a_limit_of_open_files_is_no_fault_of_the_folder() -> None:
    assert isinstance(unwritable(OSError(errno.EMFILE, "Too many open files"), Path("a")), OutOfResources)
    assert isinstance(unwritable(OSError(errno.EACCES, "Permission denied"), Path("a")), RunError)
