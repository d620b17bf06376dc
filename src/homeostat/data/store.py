"""Build, find and check stores: prepared data on disk.

A store is an immutable folder: one `.npy` per array (memory-mapped on reading), `meta.json`, `origin.json`
(digests of raw files and code, and the parameters) and `seal.json` (checksum of every file). Its name carries the
digest of its origin, so a stale store cannot be mistaken for a fresh one. It appears by one rename and never changes.
"""

import contextlib
import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from homeostat.data.fingerprint import Code, Origin, changes, digest_bytes, digest_file, is_related
from homeostat.data.ragged import Array, Ragged
from homeostat.data.seal import check_seal, seal, sync_folder
from homeostat.errors import DataError, OutOfResources

OFFSETS = ".offsets"
# No build takes a day; a folder of that age has no process.
LEFTOVER_AGE_S = 24 * 3600
# No space, over quota, over the size limit of a file.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A verdict on the reuse of a store, with the reasons in words."""

    reused: bool
    path: Path
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.sentences)


@dataclass(frozen=True, kw_only=True)
class Store:
    """Named arrays and a `meta` dictionary, read-only. `explanation` says why the store was reused or built."""

    path: Path
    arrays: Mapping[str, Array]
    meta: Mapping[str, Any]
    counts: Mapping[str, int]
    fingerprint: str
    explanation: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path, *, explanation: Sequence[str] = ()) -> Self:
        """Map the arrays and check their sizes; `verify` checks every byte."""
        sealed = check_seal(path)
        try:
            about = json.loads((path / "meta.json").read_text())
        except ValueError as error:
            raise DataError(
                f"{path.name}/meta.json is not readable ({error}). Prepare the store again."
            ) from error
        names = sorted(file.removesuffix(".npy") for file in sealed if file.endswith(".npy"))
        arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
        # The content alone: another origin (a comment in the code) with equal arrays is the same data.
        content = {file: digest for file, (_, digest) in sealed.items() if file != "origin.json"}
        return cls(
            path=path,
            arrays=arrays,
            meta=about["meta"],
            counts=about["counts"],
            fingerprint=digest_bytes(json.dumps(content, sort_keys=True).encode()),
            explanation=tuple(explanation),
        )

    def __getitem__(self, name: str) -> Array:
        if name not in self.arrays:
            raise DataError(
                f"Store {self.path.name} has no array {name!r}. It has: {', '.join(self.arrays)}."
            )
        return self.arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def ragged(self, name: str) -> Ragged:
        return Ragged(self[name], self[name + OFFSETS])

    def report(self) -> tuple[str, ...]:
        """List what preparation dropped, clipped or marked as odd, one sentence each."""
        return tuple(f"{count:,} {what}" for what, count in self.counts.items() if count)


@dataclass(frozen=True)
class Writer:
    """The argument of a recipe's `write` function, which names arrays, counts oddities and sets meta values."""

    folder: Path
    meta: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def array(self, name: str, values: Array, *, missing_allowed: bool = False) -> None:
        """Write one array. `missing_allowed` lets NaN stand for "not measured"; an infinity is never allowed."""
        values = np.ascontiguousarray(values)
        check_finite(name, values, missing_allowed=missing_allowed)
        target = self.folder / f"{name}.npy"
        if target.exists():
            raise DataError(f"Array {name!r} is written twice. Give each array of a store its own name.")
        with target.open("xb") as stream:
            # As np.save does, except that np.save hides why a write failed.
            np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(values))
            stream.write(values.reshape(-1).view(np.uint8).data)

    def ragged(self, name: str, rows: Ragged, *, missing_allowed: bool = False) -> None:
        self.array(name, rows.values, missing_allowed=missing_allowed)
        self.array(name + OFFSETS, rows.offsets)

    def count(self, what: str, number: int = 1) -> None:
        """Add to the number of `what`: a phrase such as "rows with an empty parameter name, dropped"."""
        self.counts[what] = self.counts.get(what, 0) + int(number)

    def count_all(self, counts: Mapping[str, int]) -> None:
        """Add to several numbers."""
        for what, number in counts.items():
            self.count(what, number)


def check_finite(name: str, values: Array, *, missing_allowed: bool = False) -> None:
    """Refuse values that are not finite; name the array and its first such row."""
    if values.dtype.kind == "O":
        raise DataError(f"Array {name!r} holds Python objects. Give it a numeric or fixed-width string type.")
    if values.dtype.kind not in "fc" or values.size == 0:
        return
    bad = np.isinf(values) if missing_allowed else ~np.isfinite(values)
    if not bad.any():
        return
    rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1)) if values.ndim else np.zeros(1, dtype=int)
    first = values[rows[0]] if values.ndim else values
    kind = "NaN" if np.isnan(first).any() and not missing_allowed else "an infinity"
    raise DataError(
        f"Array {name!r} holds {kind} in row {rows[0]:,} ({len(rows):,} of {len(values):,} rows). "
        "Drop or mark such rows where the raw files are read; a store holds finite values only."
    )


def build(
    root: Path,
    *,
    name: str,
    raw: Sequence[Path],
    code: Sequence[Code],
    parameters: Mapping[str, Any],
    write: Callable[[Writer], None],
) -> Store:
    """Return the store for these raw files, this code and these parameters; prepare it unless it exists."""
    origin = Origin.of(name, raw=raw, code=code, parameters=parameters)
    explanation = explain(root, origin)
    if explanation.reused:
        return Store.open(explanation.path, explanation=explanation.sentences)
    # In the same folder, since a rename between two disks is a copy that a kill can cut.
    folder = root / f".{origin.folder}.{uuid.uuid4().hex[:12]}.tmp"
    make_folder(folder)
    sweep(root)
    try:
        fill(folder, origin, write)
        publish(folder, explanation.path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OutOfResources(
            f"The disk is full: the store {origin.folder} could not be written to {root}. Nothing was changed. "
            "Free some space, or keep stores on another disk."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Store.open(explanation.path, explanation=explanation.sentences)


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(
            f"Stores cannot be written to {folder.parent}: {error.strerror}. "
            "Make it writable, or choose another folder with --stores."
        ) from error


def fill(folder: Path, origin: Origin, write: Callable[[Writer], None]) -> None:
    """Write everything that a store holds, the seal last."""
    writer = Writer(folder)
    write(writer)
    about = {"meta": writer.meta, "counts": writer.counts}
    (folder / "meta.json").write_text(json.dumps(about, indent=1, sort_keys=True, allow_nan=False))
    (folder / "origin.json").write_text(origin.to_json())
    seal(folder)


def explain(root: Path, origin: Origin) -> Explanation:
    """Say why the store of this origin is reused, or which change makes another one necessary."""
    path = root / origin.folder
    if path.exists():
        # Every byte, at each start: to find a store of 8,000 stays again takes 0.3 s (log/data.md).
        faults = verify(path)
        if faults:
            return Explanation(
                reused=False, path=path, sentences=(*faults, f"{path.name} must be built again.")
            )
        sentence = (
            f"Reused {path}: {len(origin.raw):,} raw files, {len(origin.code):,} pieces of code and "
            f"{len(origin.parameters):,} parameters are those that it was made from, and its checksums hold."
        )
        return Explanation(reused=True, path=path, sentences=(sentence,))
    # Of many old stores the one with the fewest changes tells best what was done.
    related = [old for old in origins(root, origin.name) if is_related(old, origin)]
    nearest = min((changes(old, origin) for old in related), key=len, default=None)
    if nearest is None:
        others = len(origins(root, origin.name))
        if others:
            stores = "1 store" if others == 1 else f"{others:,} stores"
            sentence = (
                f"{root} has {stores} of the layout {origin.name}, of other data: {path.name} must be built."
            )
            return Explanation(reused=False, path=path, sentences=(sentence,))
        sentence = f"No {origin.name} store in {root} yet: it must be built."
        return Explanation(reused=False, path=path, sentences=(sentence,))
    reasons = [f"Not reused: {reason}." for reason in nearest]
    return Explanation(reused=False, path=path, sentences=(*reasons, f"{path.name} must be built."))


def origins(root: Path, name: str) -> list[Origin]:
    """Return the origins of the sealed stores of one name; a folder without a seal is no store."""
    sealed = []
    for file in sorted(root.glob(f"{name}-*/origin.json")):
        try:
            check_seal(file.parent)
            origin = Origin.from_json(file.read_text())
        except (DataError, ValueError, TypeError):
            continue  # Half-written or foreign: no store to compare with.
        sealed += [origin] if origin.name == name else []
    return sealed


def verify(path: Path) -> tuple[str, ...]:
    """Read every byte again; return one sentence per fault, none when the store is whole."""
    try:
        sealed = check_seal(path)
    except DataError as error:
        return (str(error),)
    return tuple(
        f"{path.name}/{file} does not match its checksum: it was changed after it was sealed."
        for file, (_, digest) in sealed.items()
        if digest_file(path / file) != digest
    )


def publish(folder: Path, target: Path) -> None:
    """Rename the finished folder into place. A process that comes second finds a whole store and keeps that one."""
    # A rename over a folder that is not empty fails, and between a check and the next rename another process may move
    # the folder: without a lock one in about ten runs of four processes failed.
    with locked(target.parent):
        if target.exists():
            if not verify(target):
                return
            # Renamed before it is removed, so that nobody meets a store that is half gone.
            aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
            target.rename(aside)
            shutil.rmtree(aside)
        folder.rename(target)
        sync_folder(target.parent)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Admit one process at a time. The lock ends with its process: a killed one cannot hold it."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes that replace one corrupt store may meet there
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sweep(root: Path) -> None:
    """Remove folders of builds that were killed; a young one may belong to a process at work."""
    for leftover in root.glob(".*.tmp"):
        if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
            shutil.rmtree(leftover, ignore_errors=True)
