"""Compile the native kernel. Needs nothing but a compiler, so that a wheel can be built where torch is not installed.

The name of a compiled kernel says what it was made from and ends with the digest of its content, so that a torn or
foreign file is known before its code is loaded.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_SOURCES = Path(__file__).with_name("native")
# Finite-math shortcuts stay off: the kernel's verdicts depend on NaN and infinity.
_FLAGS = (
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-std=c++17",
    "-fvisibility=hidden",
    "-fPIC",
    "-shared",
)
# Instructions that a packaged kernel may use, the fastest first, and what /proc/cpuinfo calls them.
LEVELS: dict[str, frozenset[str]] = {
    "x86-64-v4": frozenset(
        ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma", "bmi2"]
    ),
    "x86-64-v3": frozenset(["avx2", "fma", "bmi1", "bmi2", "f16c", "movbe"]),
}


def find_compiler() -> str | None:
    return next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)


def name_of_sources() -> str:
    code = [path.read_text(encoding="utf-8") for path in sorted(_SOURCES.iterdir()) if path.is_file()]
    return _digest("\n".join([*code, *_FLAGS]).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]


def is_whole(path: Path) -> bool:
    """Say whether the content has the digest that ends the file's name."""
    return path.stem.rpartition("-")[2] == _digest(path.read_bytes())


def compile_kernel(
    compiler: str,
    folder: Path,
    name: str,
    attempts: Sequence[Sequence[str]],
    accept: Callable[[Path], object],
) -> Path:
    """Compile by the first of `attempts` that succeeds and is accepted; put the file into `folder` in one move.

    `accept` raises OSError for a kernel that cannot be used, for instance because it cannot be loaded.
    """
    failures: list[Exception] = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for number, flags in enumerate(attempts):
            built = Path(scratch) / f"{number}.so"
            command = [compiler, *_FLAGS, str(_SOURCES / "kernel.cpp"), *flags, "-o", str(built)]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
                accept(built)
            except (OSError, subprocess.SubprocessError) as error:
                failures.append(error)
                continue
            target = folder / f"{name}-{_digest(built.read_bytes())}.so"
            os.replace(built, target)
            return target
    raise failures[0]


def local_attempts(runtimes: Sequence[Path]) -> Iterator[list[str]]:
    """Yield flags for this machine: torch's own OpenMP first, so that both share one pool of threads."""
    wide = ["-mprefer-vector-width=512"] if platform.machine() in ("x86_64", "AMD64") else []
    for runtime in runtimes[:1]:
        yield ["-march=native", *wide, "-fopenmp", str(runtime)]
    yield ["-march=native", *wide, "-pthread"]
    yield ["-pthread"]


def package(folder: Path) -> list[Path]:
    """Compile the kernels that a wheel carries, one for each level of this kind of processor."""
    compiler = find_compiler()
    if compiler is None or platform.system() != "Linux" or platform.machine() != "x86_64":
        return []
    folder.mkdir(parents=True, exist_ok=True)
    static = ["-pthread", "-static-libstdc++", "-static-libgcc"]
    return [
        compile_kernel(
            compiler,
            folder,
            packaged_name(level),
            [[f"-march={level}", "-mprefer-vector-width=512", *static], [f"-march={level}", "-pthread"]],
            lambda path: None,
        )
        for level in LEVELS
    ]


def packaged_name(level: str) -> str:
    return f"{name_of_sources()}-{platform.system()}-{platform.machine()}-{level}"
