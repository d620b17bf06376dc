"""A run keeps the digest of its code, so that a change of the code is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

from homeostat.plugin.digest import changes, digests


def test_the_digest_is_the_sha256_of_the_file(outside: Path) -> None:
    file = outside / "mine.py"
    file.write_text("one = 1\n")
    assert digests(["./mine.py:one"]) == {str(file): hashlib.sha256(b"one = 1\n").hexdigest()}


def test_what_a_file_imports_from_its_folder_is_its_code_too(outside: Path) -> None:
    """Also through another file, and inside of a function that nobody has called yet."""
    package = outside / "parts"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "net.py").write_text("from . import sizes\nfrom .blocks import two\n")
    (package / "sizes.py").touch()
    (package / "blocks.py").write_text("two = 2\n")
    (package / "unused.py").touch()
    (outside / "layers.py").write_text("one = 1\n")
    (outside / "stranger.py").touch()
    lines = ("import json", "from layers import one", "def late():", "    import parts.net")
    (outside / "mine.py").write_text("\n".join(lines))
    names = [str(Path(name).relative_to(outside)) for name in digests(["./mine.py:one"])]
    assert names == [
        "layers.py", "mine.py", "parts/__init__.py", "parts/blocks.py", "parts/net.py", "parts/sizes.py",
    ]  # fmt: skip
    names = [str(Path(name).relative_to(outside)) for name in digests(["./parts/net.py:two"])]
    assert names == ["parts/__init__.py", "parts/blocks.py", "parts/net.py", "parts/sizes.py"]


def test_of_an_installed_module_the_files_of_its_package_are_kept() -> None:
    names = [Path(name).name for name in digests(["json.decoder:JSONDecoder"])]
    assert {"__init__.py", "decoder.py"} <= set(names)
    assert all("json" in Path(name).parts for name in digests(["json.decoder:JSONDecoder"]))


def test_only_what_changed_is_told(outside: Path) -> None:
    for name in ("same", "changed", "gone"):
        (outside / f"{name}.py").write_text("one = 1\n")
    known = digests(["./same.py:one", "./changed.py:one", "./gone.py:one"])
    assert changes(known) == []
    (outside / "changed.py").write_text("one = 2\n")
    (outside / "gone.py").unlink()
    first, second = changes(known)
    old, new = (hashlib.sha256(text).hexdigest()[:12] for text in (b"one = 1\n", b"one = 2\n"))
    assert first == (
        f"{outside / 'changed.py'} has changed since the run was made: its SHA-256 was {old}, and is {new} now."
    )
    assert second == f"{outside / 'gone.py'} is gone since the run was made."
