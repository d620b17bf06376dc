"""Files that are whole or absent: written under another name, synced, and renamed into place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from homeostat.errors import RunError, unwritable


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Lend a scratch file that takes the name `path` at the end; after an error the old file is still there.

    The scratch name depends on `path` alone: the next write clears away what a kill left behind. Without `sync` the
    file survives the process, but perhaps not a loss of power.
    """
    scratch = path.with_name(f".{path.name}.part")
    try:
        try:
            yield scratch
            if sync:
                _sync(scratch)
            os.replace(scratch, path)
        except OSError as error:
            raise unwritable(error, path) from error
    except BaseException:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_json(path: Path, value: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write one JSON object so that a reader sees the old file or the new one, never half of it."""
    with replacing(path, sync=sync) as scratch:
        scratch.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} does not exist.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not JSON: {error}. Restore it, or start a new run.") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} holds {type(value).__name__}; expected a JSON object.")
    return value
