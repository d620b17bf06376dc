"""Load the native kernel: the packaged one where it fits, else one that is compiled once per machine."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from homeostat.ode.compiler import (
    LEVELS,
    compile_kernel,
    find_compiler,
    is_whole,
    local_attempts,
    name_of_sources,
    packaged_name,
)

_LOG = logging.getLogger("homeostat.ode")
_PACKAGED = Path(__file__).with_name("native") / "prebuilt"


@dataclass(frozen=True)
class Library:
    """The loaded kernel."""

    handle: ctypes.CDLL


@functools.cache
def load_library() -> Library | str:
    """Return the kernel, or a sentence that says why this machine has none."""
    if platform.system() == "Windows":
        return "the native kernel is not built on Windows"
    packaged = _load_packaged(_PACKAGED)
    if packaged is not None:
        return packaged
    compiler = find_compiler()
    if compiler is None:
        return "no C++ compiler was found (install g++ or clang++)"
    try:
        return _load_compiled(compiler)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        _LOG.warning("The native solver could not be built, so solves are slower: %s", reason.strip()[:400])
        return "the native kernel could not be built"


def _load(path: Path) -> Library:
    """Load a kernel; OSError where the file is no library, or lacks what this code calls."""
    handle = ctypes.CDLL(str(path))
    try:
        handle.homeostat_solve.restype = ctypes.c_void_p
        handle.homeostat_pull.restype = ctypes.c_int64
        handle.homeostat_problem_bytes.restype = ctypes.c_int64
    except AttributeError as error:
        raise OSError(f"{path.name} is not the kernel: {error}") from error
    return Library(handle)


def _load_packaged(folder: Path) -> Library | None:
    """Load the fastest packaged kernel that was made from this source and that this processor can run."""
    offered = _instructions()
    for level, needed in LEVELS.items():
        if needed <= offered:
            for path in folder.glob(f"{packaged_name(level)}-*.so"):
                if not is_whole(path):
                    _LOG.warning("%s is damaged and is not loaded. Install homeostat again.", path)
                    continue
                try:
                    return _load(path)
                except OSError as error:  # made for another C library
                    _LOG.info("the packaged kernel does not load here: %s", error)
    return None


def _load_compiled(compiler: str) -> Library:
    """Load the kernel that was compiled from this source, by this compiler, for this processor."""
    identity = "\n".join([compiler, torch.__version__, _processor()])
    name = f"native-{name_of_sources()}-{hashlib.sha256(identity.encode()).hexdigest()[:20]}"
    folder = _open_cache()
    if folder is None:
        # The loaded code stays in memory when its file goes.
        with tempfile.TemporaryDirectory(prefix="homeostat-") as private:
            _LOG.warning(
                "%s cannot be written, so the native solver is compiled again in every process", _shown()
            )
            return _load(_compile(compiler, Path(private), name))
    for path in folder.glob(f"{name}-*.so"):
        if _is_own(path) and is_whole(path):
            try:
                return _load(path)
            except OSError as error:
                _LOG.info("the cached kernel does not load: %s", error)
        path.unlink(missing_ok=True)
    _LOG.info("compiling the native solver with %s, once on this machine", compiler)
    return _load(_compile(compiler, folder, name))


def _compile(compiler: str, folder: Path, name: str) -> Path:
    runtimes = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    return compile_kernel(compiler, folder, name, list(local_attempts(runtimes)), _load)


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homeostat"


def _open_cache() -> Path | None:
    """Return the folder of compiled kernels, or None where it cannot be written; refuse one that others can write."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError):  # a RuntimeError says that there is no home
        return None
    owner = folder.stat()
    if owner.st_uid != os.getuid() or owner.st_mode & 0o022:
        raise OSError(
            f"{folder} can be written by others; code is not loaded from there (chmod 700 {folder})"
        )
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _shown() -> str:
    return os.environ.get("XDG_CACHE_HOME") or "~/.cache"


def _is_own(path: Path) -> bool:
    """Say whether a regular file belongs to this user, and nobody else can write it."""
    status = path.lstat()
    regular = path.is_file() and not path.is_symlink()
    return regular and status.st_uid == os.getuid() and not status.st_mode & 0o022


def _processor() -> str:
    """Describe the processor, on which -march=native depends: machines of two kinds may share a cache folder."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        return "\n".join(
            sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
        )
    return platform.platform() + platform.processor()


def _instructions() -> frozenset[str]:
    """Return the instructions that this processor offers, as Linux names them."""
    flags = [line.partition(":")[2] for line in _processor().splitlines() if line.startswith("flags")]
    return frozenset(flags[0].split()) if flags else frozenset()
