"""Fingerprint the raw files, the code and the parameters of a store, and name those that changed."""

import ast
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from homeostat.data import border
from homeostat.errors import DataError

# Raise it by one when the files of a store change their meaning; older stores are then built again.
STORE_FORMAT = 1

# 128 bits: no accidental collision among any number of files that a disk holds.
DIGEST_BYTES = 16
# Without O_BINARY Windows reads text: it drops carriage returns and stops at the first Ctrl-Z.
if sys.platform == "win32":
    READ_BYTES = os.O_RDONLY | os.O_BINARY
else:
    READ_BYTES = os.O_RDONLY
# A data set that was copied anew may differ in thousands of files.
SHOWN = 5

Code = ModuleType | Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Everything that decides the content of a store. Equal origins give equal stores."""

    name: str
    raw: Mapping[str, str]
    code: Mapping[str, str]
    parameters: Mapping[str, Any]
    format: int = STORE_FORMAT

    @classmethod
    def of(
        cls, name: str, *, raw: Sequence[Path], code: Sequence[Code], parameters: Mapping[str, Any]
    ) -> Self:
        """Read every raw file once, and the source of every preparing module or function."""
        sources: dict[str, str] = {}
        for unit in code:
            sources |= digest_code(unit)
        # The round trip makes what is compared now and what is read back later the same thing (tuples, keys).
        plain = json.loads(json.dumps(dict(parameters), sort_keys=True, allow_nan=False))
        return cls(name=name, raw=digest_files(raw), code=sources, parameters=plain)

    @property
    def digest(self) -> str:
        return digest_bytes(self.to_json().encode())

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.digest[:16]}"

    def to_json(self) -> str:
        return json.dumps(self.__dict__, sort_keys=True, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


def digest_bytes(content: bytes | memoryview) -> str:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def digest_file(path: str | Path) -> str:
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for block in read_blocks(path):
        hasher.update(block)
    return hasher.hexdigest()


def read_blocks(path: str | Path, size: int = 1 << 22) -> Iterator[bytes]:
    """Read by plain system calls: for thousands of small files a buffered reader costs more than the digest."""
    try:
        handle = os.open(path, READ_BYTES)
        try:
            while block := os.read(handle, size):
                yield block
        finally:
            os.close(handle)
    except OSError as error:
        raise DataError(
            f"Raw file {path} cannot be read: {error.strerror}. Check the path given by --data."
        ) from error


def digest_files(paths: Sequence[Path]) -> dict[str, str]:
    """Return a digest per file, named relative to their common folder: a moved data set is the same data set."""
    if not paths:
        return {}
    absolute = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in absolute])
    border.inside(Path(common), map(Path, absolute))
    # The common folder may be the root, which ends in a separator already.
    start = len(common.rstrip(os.sep)) + 1
    return {path[start:].replace(os.sep, "/"): digest_file(path) for path in sorted(absolute)}


def digest_code(unit: Code) -> dict[str, str]:
    """Return a digest per top-level function and class, and one of the rest, so that a change can be named."""
    if not inspect.ismodule(unit):
        return {f"{unit.__module__}.{unit.__qualname__}": digest_bytes(inspect.getsource(unit).encode())}
    source = inspect.getsource(unit)
    lines = source.splitlines(keepends=True)
    rest = list(lines)
    digests: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            # A decorator changes what a function does, and stands above its line number.
            first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)]) - 1
            text = "".join(lines[first : node.end_lineno])
            digests[f"{unit.__name__}.{node.name}"] = digest_bytes(text.encode())
            rest[first : node.end_lineno] = [""] * ((node.end_lineno or first) - first)
    digests[f"{unit.__name__} (outside functions)"] = digest_bytes("".join(rest).encode())
    return digests


def is_related(old: Origin, new: Origin) -> bool:
    """Say whether two origins may be of one data set: a raw file is in both, or all names are the same."""
    return _shares(old, new) or old.raw.keys() == new.raw.keys()


def _shares(old: Origin, new: Origin) -> bool:
    return bool(old.raw.items() & new.raw.items())


def changes(old: Origin, new: Origin) -> list[str]:
    """One sentence per thing that differs, the likeliest to matter first."""
    sentences = []
    if old.format != new.format:
        sentences.append(f"store format {old.format} became {new.format}")
    if old.raw and not _shares(old, new):
        # Perhaps edited, perhaps another data set with files of these names: nobody knows what became of what.
        return [*sentences, *_shorten("raw file", "differs", sorted(new.raw))]
    sentences += _changes("raw file", old.raw, new.raw)
    sentences += _changes("code", old.code, new.code)
    for key in sorted(old.parameters.keys() | new.parameters.keys()):
        before, after = old.parameters.get(key, "absent"), new.parameters.get(key, "absent")
        if before != after:
            sentences.append(f"parameter {key}: {before!r} became {after!r}")
    return sentences


def _changes(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    changed = sorted(key for key in old.keys() & new.keys() if old[key] != new[key])
    return [
        *_shorten(what, "changed", changed),
        *_shorten(what, "is new", sorted(new.keys() - old.keys())),
        *_shorten(what, "is gone", sorted(old.keys() - new.keys())),
    ]


def _shorten(what: str, verb: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    sentences = [f"{what} {name} {verb}" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        sentences.append(
            f"{what}: {len(names) - SHOWN:,} more {verb.replace('is ', 'are ').replace('differs', 'differ')}"
        )
    return sentences
