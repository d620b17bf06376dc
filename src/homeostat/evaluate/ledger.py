"""Remember every reading of the test split in a file that only grows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.errors import DataError, unwritable
from homeostat.evaluate.predictions import Predictions
from homeostat.run import Run, journal, manifest

YARD_STICK = "yard-stick"
"""The purpose of a reading that scored a yard-stick: nobody chooses a model by it."""
CUT_OFF = " <- cut off\n"
"""The end that the next reading gives to a line that a kill cut off, so that its own line begins anew."""


@dataclass(frozen=True, kw_only=True)
class Read:
    time: str
    purpose: str
    model: str
    n: int
    rows: str
    """Fingerprint of the test ids: the same for every run on the same test set."""
    content: str
    """Fingerprint of ids, truths and outputs: the same only if nothing new was learnt by looking again."""


def record(ledger: Path, p: Predictions, purpose: str, now: Callable[[], str] | None = None) -> Read:
    """Note one reading; it is on the disk before the numbers are shown."""
    clock = now or (lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    rows, content = fingerprints(p)
    read = Read(time=clock(), purpose=purpose, model=p.model, n=len(p), rows=rows, content=content)
    if manifest.exists(ledger):
        reads(ledger)  # a damaged one, or a pipe in its place, is told before anything waits for it
    # One write of one short line at the end of the file: two processes do not tear each other's lines. A line that was
    # cut off is marked, not removed: the file may hold more than this process has seen.
    try:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        with ledger.open("ab") as file:
            begin = CUT_OFF if journal.is_torn(ledger) else ""
            file.write((begin + json.dumps(asdict(read)) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(error, ledger) from error
    return read


def reads(ledger: Path) -> tuple[Read, ...]:
    """Return every reading so far, oldest first. A line that a kill cut off is left out: nobody saw its numbers."""
    if not manifest.exists(ledger):
        return ()
    try:
        lines = manifest.content(ledger).decode().splitlines(keepends=True)
        return tuple(_read(json.loads(line)) for line in lines if _is_whole(line))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{ledger} is damaged ({error}). It counts the looks at the test set; restore it."
        ) from error


def _read(plain: dict[str, Any]) -> Read:
    read = Read(**plain)
    wrong = [
        name for name, value in asdict(read).items() if not isinstance(value, int if name == "n" else str)
    ]
    if wrong:
        raise TypeError(f"{wrong[0]} is {plain[wrong[0]]!r}")
    return read


def _is_whole(line: str) -> bool:
    return line.endswith("\n") and not line.endswith(CUT_OFF)


def looks(folder: Path, rows: str) -> tuple[Read, ...]:
    """Return the distinct looks at one test set from all runs in a folder; repeats and yard-sticks do not count."""
    entries = [read for run in sorted(folder.iterdir()) for read in reads(Run(run).ledger_file)]
    entries = [read for read in entries if read.rows == rows and read.purpose != YARD_STICK]
    # Later ones are overwritten by earlier ones: what remains of equal looks is the first.
    first = {read.content: read for read in sorted(entries, key=lambda read: read.time, reverse=True)}
    return tuple(sorted(first.values(), key=lambda read: read.time))


def fingerprints(p: Predictions) -> tuple[str, str]:
    """Return the fingerprints (rows, content); neither depends on the order of the rows."""
    # By id: another order of the same rows is no other test set.
    order = np.argsort(p.ids)
    rows = hashlib.sha256("\n".join(p.ids[order].tolist()).encode())
    content = rows.copy()
    content.update(np.ascontiguousarray(p.targets[order]).tobytes())
    content.update(np.ascontiguousarray(p.outputs[order]).tobytes())
    return rows.hexdigest()[:16], content.hexdigest()[:16]
