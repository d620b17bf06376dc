"""New runs: a free name, a new folder, and what a failed start left in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeostat.errors import OutOfResources, RunError, command, unwritable
from homeostat.files import clear_below, half_written
from homeostat.run import manifest, sealed
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
        if not folder.is_dir() or not (never_began(run) or is_unbegun(run)):
            raise _taken(folder) from None
        _clear(run)
    except OSError as error:
        if isinstance(full := unwritable(error, folder), OutOfResources):
            raise full from error
        raise RunError(f"{folder} cannot be made: {error.strerror}. Choose another --run.") from error
    sealed.begin(folder)
    sealed.write_json(run.config_file, config)
    return run


def named(root: Path, name: str) -> Path:
    """Return a free folder name of the form root/name-20261120-093012."""
    stem = root / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder, number = stem, 2
    while folder.exists():
        folder, number = Path(f"{stem}-{number}"), number + 1
    return folder


def never_began(run: Run) -> bool:
    """Say whether a kill ended the making of a run: its folder is there, and no configuration, nor anything else."""
    scratch = half_written(run.folder, "*")
    return all(
        path in scratch or path == run.manifest_file or (path == run.journal_file and not path.stat().st_size)
        for path in run.folder.iterdir()
    )


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
        if not (never_began(run) or is_unbegun(run)):
            raise _taken(run.folder)
        journal.truncate(0)
        clear_below(run.folder)
        children = [child.folder for child in run.children()]
        for folder in (run.checkpoints, run.fitted, run.predictions, run.tensorboard, *children):
            if folder.exists():
                shutil.rmtree(folder)
        # The status goes last: until then a kill leaves a failed start, which is cleared again.
        names = [path for path in run.folder.iterdir() if path.name in (*manifest.FILES, manifest.NAME)]
        for file in (*names, run.status_file):
            file.unlink(missing_ok=True)


def _taken(folder: Path) -> RunError:
    return RunError(
        f"{folder} exists already. Choose another --run, or continue it with `{command('resume', folder)}`."
    )
