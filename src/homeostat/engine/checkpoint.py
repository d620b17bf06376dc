"""A state on the disk that cannot be lost: written aside, synced, sealed, read back, and kept in a ring.

Files in a run's checkpoints/: step-000400.ckpt for the last few, best.ckpt, and `reserve`, which holds disk space for
two more while the run is alive. The manifest of the run holds their digests, and each names the run and its own name:
so a checkpoint that was changed, exchanged, renamed or brought from another run is not taken for one of this place.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # what torch.load raises for a file that holds code
from typing import Any

import torch

import homeostat
from homeostat.errors import CheckpointError, OutOfResources, RunError, unwritable
from homeostat.files import clear
from homeostat.run import manifest, sealed

# Raised when the contents of a checkpoint change shape. An old number is an error that names the version to use.
FORMAT = 2


def path_of(folder: Path, step: int, series: str = "step") -> Path:
    """Return the name of the checkpoint of a step; six digits keep a listing in order."""
    return folder / f"{series}-{step:06d}.ckpt"


def step_of(path: Path) -> int:
    """Return the step that `path_of` wrote into a name."""
    return int(path.stem.rpartition("-")[2])


def ring(folder: Path, series: str = "step") -> list[Path]:
    """Return all checkpoints of a series that are there or should be there, oldest first."""
    pattern = re.compile(rf"{series}-\d{{6,}}\.ckpt")
    return sorted(
        (path for path in sealed.files(folder, "*.ckpt") if pattern.fullmatch(path.name)), key=step_of
    )


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint such that a crash at any moment leaves the old file or the new one; then read it back."""
    # Hashed in memory: a digest of what the disk gives back would seal its faults as well.
    buffer = io.BytesIO()
    place = {"run": _run_of(path), "name": path.name}
    torch.save({"format": FORMAT, "homeostat": homeostat.__version__, **place, **content}, buffer)
    data = buffer.getbuffer()
    sealed.write(path, data)
    if manifest.streamed(path) != hashlib.sha256(data).hexdigest():
        raise RunError(
            f"{path} reads back differently from what was written: the disk or its driver is faulty."
        )


def is_intact(path: Path) -> bool:
    """Compare a checkpoint with its digest; one that homeostat did not write here is an error."""
    try:
        return sealed.is_intact(path)
    except RunError as error:
        raise CheckpointError(str(error)) from error


def _run_of(path: Path) -> str:
    """Return the identity of the run of a checkpoint; an empty text for a file outside of every run."""
    place = manifest.owner(path)
    return "" if place is None else manifest.load(place[0]).run


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint as plain tensors and values; code in it is never run."""
    try:
        with manifest.opened(path) as file:
            if file.read(2) != b"PK":  # not the archive that torch.save writes; its old formats are not ours
                raise UnpicklingError
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except RunError as error:
        raise CheckpointError(str(error)) from error
    except (RuntimeError, UnpicklingError) as error:
        raise CheckpointError(f"{path} is not a homeostat checkpoint. Move it out of the folder.") from error
    if not isinstance(content, dict) or "format" not in content:
        raise CheckpointError(
            f"{path} is a torch file, but not a homeostat checkpoint. Move it out of the folder."
        )
    if content["format"] != FORMAT:
        writer = content.get("homeostat", "unknown")
        raise CheckpointError(
            f"{path} has format {content['format']}, written by homeostat {writer}. This is homeostat "
            f"{homeostat.__version__}, which reads format {FORMAT}. Resume with `pip install homeostat=={writer}`, "
            "or start a new run."
        )
    if (content["run"], content["name"]) != (_run_of(path), path.name):
        raise CheckpointError(
            f"{path} was written as {content['name']} of the run {content['run']}. Move it out of the folder, and "
            "put back what was there."
        )
    return content


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint, so that it neither counts in the ring nor is lost to whoever wants to look."""
    aside = path.with_name(path.name + ".damaged")
    sealed.remove(path, aside)
    return aside


def remove(path: Path) -> None:
    """Drop a checkpoint."""
    sealed.remove(path)


def clean(folder: Path) -> None:
    """Make the folder and clear away what a killed process left half written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear(folder)
    except OSError as error:
        raise unwritable(error, folder) from error


def reserve(folder: Path, size: int) -> None:
    """Set disk space aside, to be given back when a save finds the disk full."""
    path = folder / "reserve"
    if path.exists() and path.stat().st_size >= size:
        return
    try:
        # Asked first: an allocation that is too large may fill the disk before it fails, for everybody.
        if shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # no posix_fallocate: macOS and Windows; a save may then find the disk full
        path.unlink(missing_ok=True)
    except OSError as error:
        path.unlink(missing_ok=True)
        if not isinstance(unwritable(error, path), OutOfResources):
            raise unwritable(error, path) from error
        raise OutOfResources(
            f"{folder} has no room for the two checkpoints of {size / 2e6:.0f} MB that are reserved at the start. "
            "Free some space or choose another --run."
        ) from error


def release(folder: Path) -> None:
    """Give the reserved space back."""
    (folder / "reserve").unlink(missing_ok=True)
