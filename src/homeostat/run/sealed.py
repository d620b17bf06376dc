"""The files that a run reads again: written, read and removed here alone, so that a changed one is noticed.

The manifest is written before the file that it lists, and keeps the digest of the present one as `was` until the new
one is in its place. So a kill at any moment leaves the old file or the new one, and either is known. A file outside of
every run is written and read as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import homeostat
from homeostat.errors import RunError, unwritable
from homeostat.files import locked_folder, replacing, sync_folder
from homeostat.run import manifest
from homeostat.run.manifest import Entry, Manifest


def begin(folder: Path) -> None:
    """Give a run that begins its manifest; refuse one that has files but no manifest."""
    with _changing(folder):
        known = manifest.begun(folder)
        if (settled := _settled(folder, known)) != known:
            manifest.save(folder, settled)


def write(path: Path, data: bytes | memoryview, source: Mapping[str, str] | None = None) -> Path:
    """Write a file and seal it: a reader sees the old file or the new one. `source`: digests of what made it."""
    if (place := manifest.owner(path)) is None:
        with replacing(path) as scratch:
            scratch.write_bytes(data)
        return path
    folder, name = place
    entry = Entry(sha256=hashlib.sha256(data).hexdigest(), by=_writer(), source=dict(source or {}))
    with _changing(folder):
        known = _settled(folder, manifest.begun(folder))
        before = known.files[name].sha256 if name in known.files else None
        manifest.save(folder, _with(known, name, replace(entry, was=(before,))))
        with replacing(path) as scratch:
            scratch.write_bytes(data)
        manifest.save(folder, _with(known, name, entry))
    return path


def write_json(path: Path, value: Mapping[str, Any], source: Mapping[str, str] | None = None) -> None:
    """Write and seal one JSON object."""
    write(path, (json.dumps(value, indent=2, default=str) + "\n").encode(), source)


def remove(path: Path, aside: Path | None = None) -> None:
    """Remove a file, or rename it to `aside`, and take it off the manifest."""
    if (place := manifest.owner(path)) is None:
        _drop(path, aside)
        return
    folder, name = place
    with _changing(folder):
        known = _settled(folder, manifest.load(folder))
        if (entry := known.files.get(name)) is not None:
            manifest.save(folder, _with(known, name, replace(entry, sha256=None, was=(entry.sha256,))))
        _drop(path, aside)
        if entry is not None:
            manifest.save(folder, _with(known, name, None))


def read(path: Path) -> bytes:
    """Read a file as it was written. One that is changed, missing, foreign or no file is an error that names it."""
    if (place := manifest.owner(path)) is None:
        return manifest.content(path)
    data, problem = _compared(path, *place)
    if problem and place[0].is_dir():
        # A writer may have replaced the manifest and the file between the two looks at them.
        with _changing(place[0]):
            data, problem = _compared(path, *place)
    if problem:
        raise RunError(problem)
    return data


def _compared(path: Path, folder: Path, name: str) -> tuple[bytes, str]:
    entry = manifest.load(folder).files.get(name) if folder.is_dir() else None
    data = manifest.content(path) if manifest.exists(path) else None
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    return data or b"", manifest.problem(folder, name, entry, digest)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    try:
        value = json.loads(read(path))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not JSON: {error}. Restore it, or start a new run.") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} holds {type(value).__name__}; expected a JSON object.")
    return value


def has(path: Path) -> bool:
    """Say whether a file was written, be it missing or changed since."""
    if manifest.exists(path) or (place := manifest.owner(path)) is None:
        return manifest.exists(path)
    return place[1] in listed(place[0])


def files(folder: Path, pattern: str) -> list[Path]:
    """Return the files in a folder of a run that are there or should be there."""
    paths = set(folder.glob(pattern)) if folder.is_dir() else set()
    if (place := manifest.owner(folder / "x.ckpt")) is not None:
        within = Path(place[1]).parent
        names = [Path(name) for name in listed(place[0])]
        paths |= {folder / name.name for name in names if name.parent == within and name.match(pattern)}
    return sorted(paths)


def listed(folder: Path) -> dict[str, str]:
    """Return the digest of every file that must be in the folder of a run."""
    if not manifest.exists(folder / manifest.NAME) and not manifest.present(folder):
        return {}
    known = manifest.load(folder).files
    return {
        name: entry.sha256
        for name, entry in known.items()
        if entry.sha256 is not None and None not in entry.was
    }


def digest(path: Path) -> str:
    """Return the digest that a file must have; an empty text for one that was not written."""
    place = manifest.owner(path)
    return "" if place is None else listed(place[0]).get(place[1], "")


def is_intact(path: Path) -> bool:
    """Compare a file with its digest without keeping it in memory; a foreign one is an error."""
    if (place := manifest.owner(path)) is None:
        return manifest.exists(path)
    folder, name = place
    entry = manifest.load(folder).files.get(name)
    if entry is None:
        raise RunError(manifest.problem(folder, name, None, ""))
    return manifest.exists(path) and entry.allows(manifest.streamed(path))


def problems(folder: Path) -> dict[str, str]:
    """Compare every file of a run with its digest; return a sentence for each that does not hold."""
    found: dict[str, str] = {}
    try:
        known = manifest.load(folder).files
        for name in dict.fromkeys([*known, *manifest.present(folder)]):
            if sentence := _problem(folder, name, known.get(name)):
                found[name] = sentence
    except RunError as error:
        found[manifest.NAME] = str(error)
    return found


def _problem(folder: Path, name: str, entry: Entry | None) -> str:
    path = folder / name
    try:
        present = manifest.streamed(path) if manifest.exists(path) else None
        if entry is not None and present is None and entry.allows(None):
            return ""
        if sentence := manifest.problem(folder, name, entry, present):
            return sentence
        made_from = entry.source if entry is not None else {}
        for source, expected in made_from.items():
            if digest(folder / source) != expected:
                return f"{path} was made from another {source} than the present one. {manifest.cure(folder, name)}"
    except RunError as error:
        return str(error)
    return ""


def reseal(folder: Path) -> list[str]:
    """Take every file of a run as it is, because a person vouches for it; return the names that are new or other."""
    with _changing(folder):
        try:
            known = manifest.load(folder)
        except RunError:
            known = Manifest(run=manifest.identity(folder))
        present = {name: manifest.streamed(folder / name) for name in manifest.present(folder)}
        before = {name: entry.sha256 for name, entry in known.files.items()}
        changed = [name for name, digest in present.items() if before.get(name) != digest]
        gone = [name for name in known.files if name not in present]
        kept = {name: replace(known.files[name], was=()) for name in present if name not in changed}
        vouched = {name: Entry(sha256=present[name], by=f"{_writer()} --seal") for name in changed}
        manifest.save(folder, replace(known, files={**kept, **vouched}))
    return [*changed, *gone]


def _settled(folder: Path, known: Manifest) -> Manifest:
    """Find out how each write ended that was cut short: with the new file, or with the one before."""
    for name, entry in known.files.items():
        path = folder / name
        if not entry.was:
            continue
        present = manifest.streamed(path) if manifest.exists(path) else None
        digest = present if entry.allows(present) else entry.sha256
        known = _with(known, name, None if digest is None else replace(entry, sha256=digest, was=()))
    return known


def _with(known: Manifest, name: str, entry: Entry | None) -> Manifest:
    others = {other: kept for other, kept in known.files.items() if other != name}
    return replace(known, files=others if entry is None else {**others, name: entry})


def _writer() -> str:
    """Name the command and the version that write now."""
    words = [word for word in sys.argv[1:2] if word.isidentifier() or word == "verify-resume"]
    return " ".join(["homeostat", homeostat.__version__, *words])


def _drop(path: Path, aside: Path | None) -> None:
    try:
        if aside is not None and manifest.exists(path):
            os.replace(path, aside)
        elif aside is None:
            path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)
    except OSError as error:
        raise unwritable(error, path) from error


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Keep others who write the same manifest waiting: other processes, and other threads of this one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked_folder(folder):
            yield
    except OSError as error:
        raise unwritable(error, folder) from error
