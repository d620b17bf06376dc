"""An address is text: `./my_ecg.py:recipe` is a name in a file, `mypackage.ecg:recipe` a name in a module."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from homeostat.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Address:
    """Where a piece of code is: a file or a module, and a name in it."""

    place: str
    """Absolute path of a Python file, or the dotted name of a module."""
    name: str

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"

    @property
    def is_file(self) -> bool:
        # Paths are absolute here (`parse`), and no dotted name holds a separator.
        return os.sep in self.place


def is_address(word: str) -> bool:
    """Say whether a word is an address rather than a plain name. A path without a name is one, though incomplete."""
    return ":" in word or word.endswith(".py") or "/" in word or os.sep in word


def parse(word: str) -> Address:
    """Read an address; the path of a file becomes absolute, so that it holds from any folder."""
    place, colon, name = word.rpartition(":")
    if not colon or not name.isidentifier():  # the colon of C:\my_ecg.py is none of ours
        place, name = word.rstrip(":"), ""
    place = _in_working_folder(place) or place
    is_file = place.endswith(".py") or "/" in place or os.sep in place
    if is_file:
        _check_file(word, Path(place))
    if not name:
        thing = "file" if is_file else "module"
        raise ConfigError(
            f"{word!r} names a {thing}, but nothing in it. Write {place}:NAME, "
            f"where NAME is a variable or class of that {thing}."
        )
    if not is_file and not all(part.isidentifier() for part in place.split(".")):
        raise ConfigError(
            f"{place!r} in {word!r} is neither a Python file nor a module. Write ./my_ecg.py:recipe for a file, "
            "or mypackage.ecg:recipe for a module."
        )
    return Address(os.path.abspath(place) if is_file else place, name)


def _in_working_folder(module: str) -> str | None:
    """The file of a module that lies in the working folder: unlike its name, the path holds from any folder."""
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    path = Path(*module.split("."))
    file = next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
    if file is None:
        return None
    outer = file.parent if file.stem != "__init__" else file.parent.parent
    bare = [
        str(folder)
        for folder in (outer, *outer.parents)
        if folder.name and not (folder / "__init__.py").is_file()
    ]
    if bare:
        raise ConfigError(f"The folder {bare[0]} is no package: it has no __init__.py. Add an empty one.")
    return str(file.absolute())


def _check_file(word: str, file: Path) -> None:
    if file.suffix != ".py":
        raise ConfigError(f"{file} in {word!r} is no Python file. Write ./my_ecg.py:recipe.")
    if not file.is_file():
        near = [path.name for path in file.absolute().parent.glob("*.py")]
        hint = did_you_mean(file.name, near) if near else ""
        raise ConfigError(
            f"There is no file {file} (looked for {file.absolute()}).{hint} "
            "Give the path of a Python file, and the name in it: ./my_ecg.py:recipe."
        )


def address_of(kind: type) -> Address:
    """Return the address of a class that was imported from a file."""
    file = vars(sys.modules[kind.__module__]).get("__file__")
    if kind.__module__ == "__main__" or file is None or "." in kind.__qualname__:
        raise ConfigError(
            f"The class {kind.__qualname__} lives in this session alone, so no other process could load it. Write it "
            f"into a file (in a notebook: %%writefile my_net.py), and give its address: ./my_net.py:{kind.__name__}."
        )
    return Address(os.path.abspath(file), kind.__name__)
