"""New runs: a free name, a new folder, and what a failed start left in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeostat.errors import RunError, command
from homeostat.files import write_json
from homeostat.run.folder import Run
from homeostat.run.lock import locked

# The state before the first step, which every training can make again.
_UNTRAINED = re.compile(r"\w+-0+\.ckpt")


def create(folder: Path, config: Mapping[str, Any]) -> Run:
    """Make a new run. Its folder must not exist, so that two runs of one name cannot mix; a failed start may."""
    run = Run(folder)
    try:
        folder.mkdir(parents=True)
    # mkdir decides, not a look before it: two processes may take the same name at the same moment.
    except FileExistsError:
        if not is_unbegun(run):
            raise _taken(folder) from None
        _clear(run)
    except OSError as error:
        raise RunError(f"{folder} cannot be made: {error.strerror}. Choose another --run.") from error
    write_json(run.config_file, config)
    return run


def named(root: Path, name: str) -> Path:
    """Return a free folder name of the form root/name-20261120-093012."""
    stem = root / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder, number = stem, 2
    while folder.exists():
        folder, number = Path(f"{stem}-{number}"), number + 1
    return folder


def is_unbegun(run: Run) -> bool:
    """Say whether a run failed before anything was learnt: then its name is free for another try."""
    if run.status().get("state") != "failed":
        return False
    results = [path for folder in (run.predictions, run.export) for path in folder.glob("*")]
    # What is fitted in the run itself, such as scales, is fitted before the first training, in a moment.
    results += [path for child in run.children() for path in child.fitted.glob("*")]
    learnt = [path for path in run.folder.rglob("*.ckpt") if not _UNTRAINED.fullmatch(path.name)]
    return not (results or learnt)


def _clear(run: Run) -> None:
    """Remove what a failed start left behind; files that are not a run's stay."""
    with locked(run.journal_file, run.name) as journal:
        # Looked at again under the lock: another process may have begun meanwhile.
        if not is_unbegun(run):
            raise _taken(run.folder)
        journal.truncate(0)
        for folder in (
            run.checkpoints,
            run.fitted,
            run.tensorboard,
            *(child.folder for child in run.children()),
        ):
            if folder.exists():
                shutil.rmtree(folder)
        for file in (run.status_file, run.environment_file, run.splits_file):
            file.unlink(missing_ok=True)


def _taken(folder: Path) -> RunError:
    return RunError(
        f"{folder} exists already. Choose another --run, or continue it with `{command('resume', folder)}`."
    )
