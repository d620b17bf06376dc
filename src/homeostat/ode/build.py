"""Compile the native kernel on first use, once per machine, into the user's cache."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

_LOG = logging.getLogger("homeostat.ode")
_SOURCES = Path(__file__).with_name("native")
# Finite-math shortcuts stay off: the kernel's verdicts depend on NaN and infinity.
_FLAGS = [
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-std=c++17",
    "-fvisibility=hidden",
    "-fPIC",
]


@dataclass(frozen=True)
class Library:
    """The loaded kernel."""

    handle: ctypes.CDLL


@functools.cache
def load_library() -> Library | str:
    """Return the kernel, or a sentence that says why this machine has none."""
    if platform.system() == "Windows":
        return "the native kernel is not built on Windows"
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        return "no C++ compiler was found (install g++ or clang++)"
    try:
        path = _build(compiler)
        handle = ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        _LOG.warning("The native solver could not be built, so solves are slower: %s", reason.strip()[:400])
        return "the native kernel could not be built"
    handle.homeostat_solve.restype = ctypes.c_void_p
    handle.homeostat_problem_bytes.restype = ctypes.c_int64
    return Library(handle)


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homeostat"


def _build(compiler: str) -> Path:
    """Return the kernel that was compiled from this source, by this compiler, for this processor."""
    code = [path.read_text() for path in sorted(_SOURCES.iterdir()) if path.is_file()]
    identity = "\n".join([*code, compiler, " ".join(_FLAGS), torch.__version__, _processor()])
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder.stat()
    if owner.st_uid != os.getuid() or owner.st_mode & 0o022:
        raise OSError(
            f"{folder} can be written by others; code is not loaded from there (chmod 700 {folder})"
        )
    target = folder / f"native-{hashlib.sha256(identity.encode()).hexdigest()[:20]}.so"
    if target.exists():
        return target
    _LOG.info("compiling the native solver with %s, once on this machine", compiler)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        built = Path(scratch) / "native.so"
        _compile(compiler, built)
        os.replace(built, target)  # complete or absent, also when two processes build at once
    return target


def _compile(compiler: str, built: Path) -> None:
    """Compile with OpenMP where it is installed.

    The kernel is linked against the runtime that torch has loaded, so that both share one pool of threads.
    """
    runtimes = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    source, object_file = str(_SOURCES / "kernel.cpp"), str(built.with_suffix(".o"))
    vector = ["-mprefer-vector-width=512"] if platform.machine() in ("x86_64", "AMD64") else []
    if runtimes:
        _run([compiler, *_FLAGS, *vector, "-fopenmp", "-c", source, "-o", object_file])
        _run([compiler, "-shared", object_file, str(runtimes[0]), "-o", str(built)])
        return
    try:
        _run([compiler, "-shared", *_FLAGS, *vector, "-fopenmp", source, "-o", str(built)])
    except subprocess.CalledProcessError:
        _run([compiler, "-shared", *_FLAGS, *vector, source, "-o", str(built)])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)


def _processor() -> str:
    """Describe the processor, on which -march=native depends: machines of two kinds may share a cache folder."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        return "\n".join(
            sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
        )
    return platform.platform() + platform.processor()
