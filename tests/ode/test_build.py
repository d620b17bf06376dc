"""The kernel is built once, into a folder that nobody else can write; where it cannot be built, a sentence says why."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from homeostat.ode import build, odeint
from homeostat.ode.build import Library, cache_folder, load_library
from homeostat.ode.compiler import LEVELS, compile_kernel, is_whole, packaged_name
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


def quickly(runtimes: Any) -> Iterator[list[str]]:
    yield ["-O0", "-pthread"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    """Compile without optimisation: these tests are about files."""
    compiler()
    monkeypatch.setattr(build, "local_attempts", quickly)


def solves(library: Library | str) -> bool:
    assert isinstance(library, Library), library
    return int(library.handle.homeostat_problem_bytes()) == ctypes.sizeof(_Problem)


def test_a_kernel_is_built_once_and_complete(cache: Path, quick: None) -> None:
    assert solves(load_library())
    (first,) = cache.iterdir()  # no scratch is left
    built_ns = first.stat().st_mtime_ns
    load_library.cache_clear()
    assert solves(load_library())
    assert [path.name for path in cache.iterdir()] == [first.name]
    assert first.stat().st_mtime_ns == built_ns


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "a link", "writable by others"])
def test_a_damaged_or_foreign_kernel_is_not_loaded_but_built_again(
    cache: Path, quick: None, damage: str, tmp_path: Path
) -> None:
    """A truncated library would end the process with SIGBUS, a foreign one could do anything."""
    assert solves(load_library())
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    if damage == "a link":
        path.rename(tmp_path / "elsewhere.so")
        path.symlink_to(tmp_path / "elsewhere.so")
    elif damage == "writable by others":
        path.chmod(0o666)
    else:
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.unlink()  # the loaded file itself must not change under the process
        path.write_bytes({"truncated": whole[:5000], "changed": bytes(changed), "empty": b""}[damage])
    load_library.cache_clear()
    assert solves(load_library())
    (again,) = cache.iterdir()
    assert is_whole(again)
    assert build._is_own(again)


def test_a_kernel_that_does_not_load_does_not_stay(cache: Path, quick: None) -> None:
    assert solves(load_library())
    (path,) = cache.iterdir()
    dead = b"not a library"
    name = path.stem.rpartition("-")[0]
    path.unlink()
    path.with_name(f"{name}-{hashlib.sha256(dead).hexdigest()[:20]}.so").write_bytes(dead)
    load_library.cache_clear()
    assert solves(load_library())
    assert [is_whole(path) and path.read_bytes() != dead for path in cache.iterdir()] == [True]


def test_flags_that_a_compiler_does_not_know_are_left_out(tmp_path: Path) -> None:
    """As clang does not have GCC's names of OpenMP, and some processors have no -march=native."""
    attempts = [["-fno-such-flag-anywhere"], ["-O0", "-shared", "-lnosuchlibrary"], ["-O0", "-pthread"]]
    path = compile_kernel(compiler(), tmp_path, "kernel", attempts, build._load)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert solves(build._load(path))


def test_a_kernel_that_is_not_accepted_is_not_kept(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise OSError("undefined symbol: __kmpc_fork_call")

    with pytest.raises(OSError, match="__kmpc_fork_call"):
        compile_kernel(compiler(), tmp_path, "kernel", [["-O0", "-pthread"]], refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_replaced_by_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert solves(load_library())
    assert "compiled again in every process" in caplog.text
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_process_without_a_home_has_a_kernel(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert solves(load_library())


# ---- the kernel that a wheel carries


def packaged(folder: Path, level: str) -> Path:
    return compile_kernel(compiler(), folder, packaged_name(level), [["-O0", "-pthread"]], lambda path: None)


def test_the_packaged_kernel_needs_no_compiler(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    packaged(tmp_path, "x86-64-v3")
    monkeypatch.setattr(build, "_PACKAGED", tmp_path)
    monkeypatch.setattr(build, "_instructions", lambda: LEVELS["x86-64-v3"])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert solves(load_library())
    assert not cache.exists()


def test_the_packaged_kernel_is_taken_only_where_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = packaged(tmp_path, "x86-64-v4")
    monkeypatch.setattr(build, "_instructions", lambda: LEVELS["x86-64-v3"])
    assert build._load_packaged(tmp_path) is None
    monkeypatch.setattr(build, "_instructions", lambda: LEVELS["x86-64-v3"] | LEVELS["x86-64-v4"])
    assert solves(build._load_packaged(tmp_path) or "not loaded")
    path.write_bytes(path.read_bytes()[:5000])
    assert build._load_packaged(tmp_path) is None
    assert "is damaged and is not loaded. Install homeostat again" in caplog.text
    path.rename(path.with_name("native-of-other-sources.so"))
    assert build._load_packaged(tmp_path) is None


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_code_is_not_loaded_from_a_folder_that_others_can_write(
    cache: Path, mode: int, fresh: None, caplog: pytest.LogCaptureFixture
) -> None:
    compiler()
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(OSError, match=r"can be written by others; code is not loaded from there \(chmod 700"):
        build._load_compiled("c++")
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
        build._load_compiled(false)


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
