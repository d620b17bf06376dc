"""Fitted state besides weights: curves, scalers, trees, coefficients. Whole, sealed, and listed in a manifest.

fitted/manifest.json names the file and the SHA-256 of each value. A file is written under the name of its content
before the manifest points to it, so a kill at any moment leaves the old value or the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeostat.errors import RunError
from homeostat.files import read_json, replacing, write_json
from homeostat.run import Run


def save(run: Run, name: str, value: Mapping[str, Any]) -> None:
    """Keep a plain value under a name; an earlier one of that name is replaced."""
    # JSON has no word for NaN, and a fitted value that is not finite is a fault of the fit.
    data = json.dumps(value, allow_nan=False).encode()
    digest = hashlib.sha256(data).hexdigest()
    known = _manifest(run)
    run.fitted.mkdir(parents=True, exist_ok=True)
    file = run.fitted / f"{name}-{digest[:12]}.json"
    with replacing(file) as scratch:
        scratch.write_bytes(data)
    write_json(manifest_file(run), {**known, name: {"file": file.name, "sha256": digest}})
    # After the manifest: until then a kill needs the old file.
    for old in run.fitted.glob(f"{name}-????????????.json"):
        if old != file:
            old.unlink(missing_ok=True)


def has(run: Run, name: str) -> bool:
    """Say whether a value of that name was kept."""
    return name in _manifest(run)


def load(run: Run, name: str) -> dict[str, Any]:
    """Read a value back; a changed, torn or missing file is an error that names it."""
    entry = _manifest(run).get(name)
    if entry is None:
        raise RunError(f"Run {run.name} holds no fitted {name!r}. Finish it with `homeostat resume`.")
    file = run.fitted / str(entry["file"])
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RunError(f"{file} cannot be read ({error.strerror}). Restore it, or train again.") from error
    # A curve that was changed by hand would give other predictions in silence.
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise RunError(f"{file} was changed after it was written. Restore it, or train again.")
    value: dict[str, Any] = json.loads(data)
    return value


def manifest_file(run: Run) -> Path:
    return run.fitted / "manifest.json"


def _manifest(run: Run) -> dict[str, Any]:
    file = manifest_file(run)
    return read_json(file) if file.exists() else {}
