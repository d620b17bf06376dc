"""Runs that exist, found by their folder."""

from __future__ import annotations

from pathlib import Path

from homeostat.errors import RunError
from homeostat.run.folder import Run


def open_run(folder: Path) -> Run:
    """Return an existing run."""
    run = Run(folder)
    if not run.config_file.exists():
        near = folder.parent if folder.parent.is_dir() else Path()
        names = [each.name for each in _runs(near)]
        listed = f" Runs in {near}: {', '.join(names)}." if names else ""
        raise RunError(f"{folder} is not a run: it holds no {run.config_file.name}.{listed}")
    return run


def find_all(root: Path) -> list[Run]:
    """Return all runs directly under a folder, oldest first."""
    # config.json is written when a run is made or extended; folders change with every file in them.
    return sorted(_runs(root), key=lambda run: run.config_file.stat().st_mtime)


def _runs(root: Path) -> list[Run]:
    if not root.is_dir():
        return []
    return [run for run in map(Run, sorted(root.iterdir())) if run.config_file.exists()]
