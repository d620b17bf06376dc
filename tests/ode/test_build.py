"""The kernel is built once, into a folder that nobody else can write; where it cannot be built, a sentence says why."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from homeostat.ode import build, odeint
from homeostat.ode.build import Library, cache_folder, load_library
from homeostat.ode.native import _Problem
from ode.problems import Network


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget which kernels were loaded or refused, before the test and after it."""
    load_library.cache_clear()
    yield
    load_library.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "homeostat"


def compiler() -> str:
    path = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if path is None:
        pytest.skip("No C++ compiler here.")
    return path


def test_the_cache_is_the_user_s(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "homeostat"


def test_a_kernel_is_built_once_and_complete(cache: Path) -> None:
    first = build._build(compiler())
    built_ns = first.stat().st_mtime_ns
    assert build._build(compiler()) == first
    assert first.stat().st_mtime_ns == built_ns
    assert [path.name for path in cache.iterdir()] == [first.name]  # no scratch is left
    handle = ctypes.CDLL(str(first))
    handle.homeostat_problem_bytes.restype = ctypes.c_int64
    assert handle.homeostat_problem_bytes() == ctypes.sizeof(_Problem)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_code_is_not_loaded_from_a_folder_that_others_can_write(
    cache: Path, mode: int, fresh: None, caplog: pytest.LogCaptureFixture
) -> None:
    compiler()
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(OSError, match=r"can be written by others; code is not loaded from there \(chmod 700"):
        build._build("c++")
    assert load_library() == "the native kernel could not be built"
    assert "can be written by others" in caplog.text


def test_a_compiler_that_fails_is_reported_and_leaves_nothing_behind(
    cache: Path, fresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    false = shutil.which("false")
    assert false is not None
    monkeypatch.setattr(shutil, "which", lambda name: false)
    assert load_library() == "the native kernel could not be built"
    assert "The native solver could not be built, so solves are slower" in caplog.text
    assert list(cache.iterdir()) == []
    with pytest.raises(subprocess.CalledProcessError):
        build._build(false)


def test_without_a_compiler_solves_are_plain_and_say_so(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    f, y0, t = Network(), torch.randn(4, 3), torch.tensor([0.0, 1.0])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert load_library() == "no C++ compiler was found (install g++ or clang++)"
    solution = odeint(f, y0, t).require_ok()
    assert torch.equal(solution.ys, odeint(f, y0, t, backend="plain").ys)
    assert "no C++ compiler was found" in solution.method
    with pytest.raises(ValueError, match=r"backend='native' cannot solve this: no C\+\+ compiler was found"):
        odeint(f, y0, t, backend="native")


def test_the_layout_of_the_arguments_is_that_of_the_library() -> None:
    library = load_library()
    if not isinstance(library, Library):
        pytest.skip(library)
    assert library.handle.homeostat_problem_bytes() == ctypes.sizeof(_Problem)
