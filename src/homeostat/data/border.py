"""The border that raw files cross: regular files inside the data folder, which do not unpack to more than they may.

A raw file is doubted before it is opened. A fifo waits for ever, a device never ends, a link may lead out of the
data, and an archive of some kilobytes may unpack to more than the memory holds.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from homeostat.errors import DataError

# zlib packs at most 1,032 to 1, and only constants. Binary masks of organs reach 30 to 60 (MedMNIST 3D), count stacks
# 5 to 20, parquet with long runs of one value about 100.
MOST_EXPANSION = 200
# Below this size an archive harms nobody, however well it is packed.
HARMLESS_BYTES = 1 << 28

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def regular(path: Path) -> int:
    """Check that a raw file is a regular one, without opening it. Return its size in bytes."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Check the path given by --data.") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"Raw file {path} cannot be read: {reason}. Check the path given by --data."
        ) from error
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise DataError(
            f"{path} is {_KINDS.get(kind, 'no regular file')}; expected a regular file. Put the data there as a file."
        )
    return status.st_size


def inside(folder: Path, paths: Iterable[Path]) -> None:
    """Check that raw files are regular ones, and that no link leads out of the data folder."""
    root = Path(os.path.realpath(folder))
    whole: set[Path] = set()
    for path in paths:
        regular(path)
        # Thousands of files share a folder: its links are followed once, a file's only if it is one.
        if path.parent not in whole:
            _refuse_outside(path.parent, root)
            whole.add(path.parent)
        if path.is_symlink():
            _refuse_outside(path, root)


def named(folder: Path, name: str) -> Path:
    """Return the file in the data folder that a table names; it may not lead out of that folder."""
    path = folder / name
    if "\0" in name or os.path.isabs(name) or ".." in Path(name).parts:
        raise DataError(
            f"A table names the file {name!r}. Expected a path inside {folder}, without '..'. Move the file there."
        )
    inside(folder, [path])
    return path


def expansion(path: Path, unpacked: int) -> None:
    """Check that a packed file does not unpack to more than data of its kind do."""
    packed = regular(path)
    most = max(HARMLESS_BYTES, MOST_EXPANSION * packed)
    if unpacked < 0 or unpacked > most:
        raise DataError(
            f"{path} has {packed:,} bytes and claims to hold {unpacked:,}; expected at most {most:,}. "
            "It is damaged, or made to fill the memory. Export it again, or unpack it yourself."
        )


def _refuse_outside(path: Path, root: Path) -> None:
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(root):
        raise DataError(
            f"{path} is a link to {target}, outside of the data folder {root}. Copy the file into the folder, or "
            "give the folder that really holds it by --data."
        )
