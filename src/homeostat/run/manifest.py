"""The manifest of a run: every file that is read again, and the digest that it must have.

A child run has a manifest of its own. `sealed` writes and reads the files that are listed here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import homeostat
from homeostat.errors import RunError
from homeostat.files import replacing

NAME = "manifest.json"
FORMAT = 1
CHILDREN = "children"
# Files that a run reads again, and the folders of others. `journal.jsonl`, `status.json` and what is for people only
# (report, export, console) are not sealed: they grow, or nothing depends on them.
FILES = ("config.json", "environment.json", "splits.json", "plan.json", "metrics.json", "findings.json")
FOLDERS = ("checkpoints", "fitted", "predictions")
# The commands that make a file again.
MAKERS = {"metrics.json": "evaluate", "findings.json": "doctor"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One sealed file."""

    sha256: str | None
    """Its digest. None: it is being removed."""
    was: tuple[str | None, ...] = ()
    """While it is being replaced: the digest of the file before, None for no file."""
    by: str = ""
    """The command and the version that wrote it."""
    source: Mapping[str, str] = field(default_factory=dict)
    """The digests of what it was made from, by name."""

    def allows(self, digest: str | None) -> bool:
        """Say whether a file of this digest is the one that was written; None stands for no file."""
        return digest == self.sha256 or digest in self.was


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The sealed files of one run."""

    run: str
    """Drawn when the run was made; that of a child run follows from its parent's and its name."""
    files: Mapping[str, Entry] = field(default_factory=dict)


def belongs(name: str) -> bool:
    """Say whether a file of this name in the folder of a run is one that is sealed."""
    folder, *rest = name.split("/")
    if folder not in FOLDERS:
        return name in FILES
    # In checkpoints/ there are also the reserved space and what was set aside; predictions/ has folders of its own.
    return bool(rest) and (folder != "checkpoints" or name.endswith(".ckpt"))


def owner(path: Path) -> tuple[Path, str] | None:
    """Return the folder of the run in which a file is sealed, and its name there; None for any other file."""
    path = path.absolute()
    for folder in list(path.parents)[:3]:
        name = path.relative_to(folder).as_posix()
        if belongs(name) and (exists(folder / NAME) or _parent(folder) is not None):
            return folder, name
    return None


def _parent(folder: Path) -> Path | None:
    """Return the folder of the run inside which this one is."""
    above = folder.absolute().parent
    is_inside = above.name == CHILDREN and (exists(above.parent / NAME) or _parent(above.parent) is not None)
    return above.parent if is_inside else None


def begun(folder: Path) -> Manifest:
    """Return the manifest of a run. One that begins gets it here; one that has files but no manifest is refused."""
    if exists(folder / NAME):
        return load(folder)
    for name in present(folder):
        raise _without(folder, name)
    manifest = Manifest(run=identity(folder))
    save(folder, manifest)
    return manifest


def identity(folder: Path) -> str:
    """Draw the identity of a new run. That of a child follows from its parent's, so that a foreign one is noticed."""
    parent = _parent(folder)
    if parent is None:
        return secrets.token_hex(16)
    outer = load(parent).run if exists(parent / NAME) else identity(parent)
    return hashlib.sha256(f"{outer}/{folder.name}".encode()).hexdigest()[:32]


def load(folder: Path) -> Manifest:
    """Read the manifest of a run; an edited, torn or foreign one is an error that names it."""
    file = folder / NAME
    if not exists(file):
        for name in present(folder):
            raise _without(folder, name)
        raise RunError(f"{folder} holds nothing of a run yet.")
    manifest = _parsed(folder, content(file))
    if _parent(folder) is not None and identity(folder) != manifest.run:
        raise RunError(f"{file} is that of another run. {cure(folder, NAME)}")
    return manifest


def _parsed(folder: Path, data: bytes) -> Manifest:
    file = folder / NAME
    try:
        plain = json.loads(data)
        seal = plain.pop("seal")
        if plain["format"] != FORMAT:
            raise RunError(
                f"{file} has format {plain['format']}, written by homeostat {plain['homeostat']}. This is homeostat "
                f"{homeostat.__version__}, which reads format {FORMAT}. {cure(folder, NAME)}"
            )
        if seal != _seal(plain):
            raise RunError(f"{file} was changed after it was written. {cure(folder, NAME)}")
        entries = {name: _entry(entry) for name, entry in plain["files"].items()}
        return Manifest(run=str(plain["run"]), files=entries)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{file} is damaged ({type(error).__name__}: {error}). {cure(folder, NAME)}"
        ) from error


def _entry(plain: Mapping[str, Any]) -> Entry:
    return Entry(**{**plain, "was": tuple(plain["was"])})


def save(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a run."""
    plain: dict[str, Any] = {
        "format": FORMAT,
        "homeostat": homeostat.__version__,
        "run": manifest.run,
        "files": {name: asdict(entry) for name, entry in manifest.files.items()},
    }
    plain = json.loads(json.dumps(plain))  # sealed as a reader finds it: JSON has no tuples
    with replacing(folder / NAME) as scratch:
        scratch.write_text(json.dumps({**plain, "seal": _seal(plain)}, indent=1) + "\n", encoding="utf-8")


def _seal(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def present(folder: Path) -> list[str]:
    """Return the names of the files in the folder of a run that are to be sealed."""
    paths = [folder / name for name in FILES]
    for name in FOLDERS:
        paths += sorted(path for path in (folder / name).rglob("*") if path.is_symlink() or not path.is_dir())
    names = [path.relative_to(folder).as_posix() for path in paths if exists(path)]
    return [name for name in names if belongs(name) and not name.rpartition("/")[2].startswith(".")]


def problem(folder: Path, name: str, entry: Entry | None, digest: str | None) -> str:
    """Say what is wrong with a file of this digest, None for no file; an empty text where it is as it was written."""
    path = folder / name
    if entry is None and digest is None:
        return f"{path} does not exist."
    if entry is None:
        return f"{path} was not written into this run by homeostat. Move it out of the folder."
    if entry.allows(digest):
        return "" if digest is not None else f"{path} does not exist."
    return f"{path} {'is missing' if digest is None else 'was changed after it was written'}. {cure(folder, name)}"


def cure(folder: Path, name: str) -> str:
    """Say what can be done about a file that is not as it was written."""
    if name in MAKERS:
        return f"Make it again: homeostat {MAKERS[name]} {folder}"
    top = folder
    while (parent := _parent(top)) is not None:
        top = parent
    if name.startswith("predictions/"):
        return f"Make it again: homeostat resume {top}"
    if top != folder:
        return f"Restore it from a backup, or remove {folder}: `homeostat resume {top}` trains it again."
    return (
        f"Restore it from a backup. If you vouch for it as it is: homeostat verify {folder} --seal. "
        "Otherwise start a new run."
    )


def _without(folder: Path, name: str) -> RunError:
    return RunError(
        f"{folder} holds {name}, but no {NAME}: an older version of homeostat made the run, or the manifest was "
        f"removed. {cure(folder, NAME)}"
    )


def exists(path: Path) -> bool:
    """Say whether there is anything of that name, be it a link to nowhere."""
    return os.path.lexists(path)


def content(path: Path) -> bytes:
    """Read a regular file."""
    with opened(path) as file:
        data: bytes = file.read()
        return data


def streamed(path: Path) -> str:
    """Return the digest of a file that may be larger than the memory."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a regular file to read. A folder, a link or a pipe in its place is an error, and is not waited for."""
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe"}
            kind = kinds.get(stat.S_IFMT(mode), "a device")
            raise RunError(
                f"{path} is {kind}; expected a file. Remove it, and restore the file that was there."
            )
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise RunError(f"{path} does not exist.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}. Make it readable, then go on.") from error
