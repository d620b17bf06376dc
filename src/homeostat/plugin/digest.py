"""The digest of a file tells whether the code that a run was made with is the code that is there now."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from homeostat.plugin.address import Address, parse
from homeostat.plugin.load import file_of, module_of, package_of


def digests(words: Iterable[str]) -> dict[str, str]:
    """File -> SHA-256 digest, for the files of these addresses and for what they import from beside them."""
    files: set[Path] = set()
    for word in words:
        files |= files_of(parse(word))
    return {str(file): digest_of(file) for file in sorted(files)}


def digest_of(file: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def files_of(address: Address) -> set[Path]:
    """The file of an address, and what it imports of its own package, or of the folder that a single file lies in.

    Read off the text of the files: imports inside of functions count, and what else a process has loaded does not.
    """
    own = file_of(module_of(address))
    if own is None:
        return set()
    root, name = package_of(own)
    top, dot, _ = name.partition(".")
    is_alone = address.is_file and not dot and own.name != "__init__.py"
    files: set[Path] = set()
    waiting = [own]
    while waiting:
        file = waiting.pop()
        if file not in files:
            files.add(file)
            names = [each.split(".") for each in _imported(file, root)]
            waiting += [
                path for parts in names if parts[0] == top or is_alone for path in _files(root, parts)
            ]
    return files


def _imported(file: Path, root: Path) -> Iterator[str]:
    """Dotted names that a file imports, from wherever."""
    package = [*file.parent.relative_to(root).parts]
    with suppress(SyntaxError):  # a file that cannot be imported imports nothing
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) + 1 - node.level] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def _files(root: Path, parts: list[str]) -> Iterator[Path]:
    """The files below a folder that the import of a dotted name runs; a name in a module is no file."""
    # Our own code has a version, which config.json keeps beside the digests.
    if parts[0] == "homeostat":
        return
    for count in range(1, len(parts) + 1):
        path = root.joinpath(*parts[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                yield file


def changes(known: Mapping[str, str]) -> list[str]:
    """Say which files are other than their digests, one sentence each."""
    sentences = []
    for name, digest in known.items():
        file = Path(name)
        if not file.is_file():
            sentences.append(f"{file} is gone since the run was made.")
            continue
        now = digest_of(file)
        # Twelve digits of SHA-256 are enough to tell two versions of a file apart by eye.
        if now != digest:
            sentences.append(
                f"{file} has changed since the run was made: its SHA-256 was {digest[:12]}, and is {now[:12]} now."
            )
    return sentences
