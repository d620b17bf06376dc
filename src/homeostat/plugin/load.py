"""Loading what an address names: the module is imported as Python would, and what fails is named with its line."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from homeostat.errors import ConfigError, did_you_mean
from homeostat.plugin.address import Address, parse


def load(word: str, expected: str, fits: Callable[[object], bool]) -> Any:
    """Return what an address names, if it fits. `expected` names the kind of thing in the sentence of the error."""
    address = parse(word)
    module = module_of(address)
    names = sorted(name for name, value in vars(module).items() if name[0] != "_" and fits(value))
    listed = f" It holds: {', '.join(names)}." if names else ""
    if address.name not in vars(module):
        nearest = did_you_mean(address.name, names)
        hint = nearest if nearest.startswith(" Did") else listed
        raise ConfigError(f"{address.place} has no {address.name!r}; expected {expected}.{hint}")
    value = vars(module)[address.name]
    if not fits(value):
        raise ConfigError(f"{word} is {_kind_of(value)}; expected {expected}.{listed}")
    return value


def _kind_of(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"of type {type(value).__name__}"


def module_of(address: Address) -> ModuleType:
    """Import the module that an address lies in. A file is a module named after it, and its folder is searched."""
    if address.is_file:
        return _from_file(Path(address.place))
    try:
        return importlib.import_module(address.place)
    except ModuleNotFoundError as error:
        if not f"{address.place}.".startswith(f"{error.name}."):
            raise _broken(address.place, error) from error
        raise ConfigError(
            f"There is no module {address.place!r}: {error.name!r} is neither installed nor in {Path.cwd()}. "
            "Install it, start from the folder that holds it, or name its file: "
            f"./{address.place.rpartition('.')[2]}.py:{address.name}."
        ) from error
    except (Exception, SystemExit) as error:  # the user's own module may raise anything
        raise _broken(address.place, error) from error


def search(folder: Path) -> None:
    """Look for modules in this folder first, as `python FILE` and `python -m` do."""
    if str(folder) not in sys.path:
        # First: a name of theirs wins over an installed library of the same name, as in a script.
        sys.path.insert(0, str(folder))


def _from_file(file: Path) -> ModuleType:
    """Import a file under its own name, as a part of its package if it has one; again if it has changed since."""
    folder, name = package_of(file)
    search(folder)
    # The file may be younger than the last look of the import system at its folder.
    importlib.invalidate_caches()
    if parent := name.rpartition(".")[0]:
        with _blaming(file):
            importlib.import_module(parent)
    source = file.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    loaded = sys.modules.get(name)
    if loaded is None:
        return _execute(file, name, source, digest)
    origin = file_of(loaded)
    if origin is None or not file.samefile(origin):
        raise ConfigError(
            f"{file} would be the module {name!r}, but that name belongs to {origin or 'a part of Python'}. "
            "Rename the file."
        )
    # No digest: another file has imported it, by its name.
    known = loaded.__spec__.loader_state if loaded.__spec__ is not None else None
    return loaded if known in (None, digest) else _execute(file, name, source, digest)


def _execute(file: Path, name: str, source: bytes, digest: str) -> ModuleType:
    """Run exactly the bytes that were digested: a compiled file beside it may be of an older version."""
    before = sys.modules.get(name)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    # So that a second load of the same bytes gives the same classes: isinstance would fail between two copies.
    spec.loader_state = digest
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _blaming(file):
            exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102  # the program that the user named
    except BaseException:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        raise
    return module


def package_of(file: Path) -> tuple[Path, str]:
    """(folder that is searched, dotted name): a file beside an `__init__.py` is a part of that package."""
    parts, folder = [file.stem], file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts).removesuffix(".__init__")


def file_of(module: ModuleType | None) -> Path | None:
    """The file of an entry of `sys.modules`; None for what is built into Python or blocked from being imported."""
    file = None if module is None else vars(module).get("__file__")
    return None if file is None else Path(file)


@contextmanager
def _blaming(file: Path) -> Iterator[None]:
    """Turn whatever the user's own code raises into a sentence with the line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise _broken(str(file), error) from error


def _broken(place: str, error: BaseException) -> ConfigError:
    """Say which line of the user's own code failed: the last one that is not of an installed library."""
    what = f"it calls sys.exit({error.code!r})" if isinstance(error, SystemExit) else _words(error)
    return ConfigError(
        f"{place} cannot be loaded: {what}, in {line_of(place, error)}. Mend it, then give the same command again."
    )


def _words(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error).rstrip(".")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def line_of(place: str, error: BaseException) -> str:
    """Return `file:line` of the user's own code that an error comes from, or the place itself."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    # The last frame of theirs: a fault inside torch began in the line of theirs that called it.
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _is_theirs(Path(frame.filename))
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else place


def _is_theirs(file: Path) -> bool:
    installed = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
    return file.is_file() and not any(
        file.is_relative_to(folder) for folder in (*installed, Path(__file__).parents[1])
    )
