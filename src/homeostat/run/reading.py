"""Runs that exist, found by their folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from homeostat.errors import RunError
from homeostat.files import clear_below
from homeostat.run import manifest
from homeostat.run.folder import Run
from homeostat.run.making import never_began


def open_run(folder: Path) -> Run:
    """Return an existing run."""
    # A path without a name of its own, as from within the run, would leave every sentence about it without a name.
    run = Run(folder.resolve() if folder.name in ("", "..") else folder)
    if folder.is_dir():
        with suppress(OSError):  # a folder that may only be read
            clear_below(folder)
        if not manifest.exists(run.config_file) and never_began(run):
            raise RunError(
                f"{folder} never began: it holds no {run.config_file.name} yet. Start it: homeostat train"
            )
    if not _is_run(folder):
        near = folder.parent if folder.parent.is_dir() else Path()
        names = [each.name for each in _runs(near)]
        listed = f" Runs in {near}: {', '.join(names)}." if names else ""
        raise RunError(f"{folder} is not a run: {_why_not(run)}.{listed}")
    return run


def find_all(root: Path) -> list[Run]:
    """Return all runs directly under a folder, oldest first."""
    # config.json is written when a run is made or extended; folders change with every file in them.
    return sorted(_runs(root), key=lambda run: run.config_file.stat().st_mtime)


def _runs(root: Path) -> list[Run]:
    if not root.is_dir():
        return []
    return [Run(folder) for folder in sorted(root.iterdir()) if _is_run(folder)]


def _is_run(folder: Path) -> bool:
    """Say whether a folder is a run; exported weights have a configuration beside them, but are a part of a run."""
    return Run(folder).config_file.exists() and not _is_export(folder)


def _is_export(folder: Path) -> bool:
    around = Run(folder.absolute().parent)
    return around.export == folder.absolute() and around.journal_file.exists()


def _why_not(run: Run) -> str:
    if _is_export(run.folder):
        return f"it holds the exported weights of {run.folder.parent}"
    return f"it holds no {run.config_file.name}"
