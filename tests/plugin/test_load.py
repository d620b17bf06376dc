"""The target of an address is loaded as Python imports it; what fails is named with its file and line."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeostat.data.fingerprint import digest_code
from homeostat.errors import ConfigError
from homeostat.plugin.load import load

ROOT = Path(__file__).resolve().parents[2]


def any_value(value: object) -> bool:
    return isinstance(value, int | type) or callable(value)


def value_at(word: str) -> Any:
    return load(word, "a number or a function", any_value)


def test_a_file_is_a_module_like_any_other(outside: Path) -> None:
    """Siblings import it, its source is found, and a store takes its fingerprint."""
    (outside / "values.py").write_text("ONE = 1\n")
    (outside / "mine.py").write_text("from values import ONE\n\n\ndef one():\n    return ONE\n")
    one = value_at("./mine.py:one")
    assert one() == 1
    assert importlib.import_module("mine").one is one
    assert inspect.getsource(one) == "def one():\n    return ONE\n"
    assert list(digest_code(one)) == ["mine.one"]
    assert list(digest_code(sys.modules["mine"])) == ["mine.one", "mine (outside functions)"]


def test_a_file_in_a_package_is_a_part_of_it(outside: Path) -> None:
    package = outside / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("ONE = 1\n")
    (package / "ecg.py").write_text("from . import ONE\n\n\nclass Net:\n    one = ONE\n")
    net = value_at("./mine/ecg.py:Net")
    assert (net.one, net.__module__) == (1, "mine.ecg")
    assert value_at("mine.ecg:Net") is net


def test_a_name_is_loaded_once_and_again_when_its_file_changed(outside: Path) -> None:
    """A notebook may go on after an edit; equal sizes and times of files do not hide one."""
    file = outside / "mine.py"
    file.write_text("class Net:\n    size = 1\n")
    first = value_at("./mine.py:Net")
    assert value_at("./mine.py:Net") is first
    before = file.stat()
    file.write_text("class Net:\n    size = 2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert value_at("./mine.py:Net").size == 2


def test_another_process_finds_it_by_its_address_alone(outside: Path) -> None:
    (outside / "mine.py").write_text("def one():\n    return 1\n")
    code = "from homeostat.plugin.load import load; import sys; print(load(sys.argv[1], 'a function', callable)())"
    done = subprocess.run(
        [sys.executable, "-c", code, f"{outside / 'mine.py'}:one"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize(
    ("source", "word", "sentence"),
    [
        (
            "one = 1\n",
            "./mine.py:two",
            "{file} has no 'two'; expected a number or a function. It holds: one.",
        ),
        (
            "one = 1\n",
            "./mine.py:onee",
            "{file} has no 'onee'; expected a number or a function. Did you mean 'one'?",
        ),
        ("one = 'x'\n", "./mine.py:one", "./mine.py:one is of type str; expected a number or a function."),
        ("one = None\n", "./mine.py:one", "./mine.py:one is None; expected a number or a function."),
        (
            "a = 1\nb = a / 0\n",
            "./mine.py:a",
            "{file} cannot be loaded: ZeroDivisionError: division by zero, in {file}:2.",
        ),
        (
            "a = 1\nb = (\n",
            "./mine.py:a",
            "{file} cannot be loaded: SyntaxError: '(' was never closed, in {file}:2.",
        ),
        (
            "import absent_library\n",
            "./mine.py:a",
            "ModuleNotFoundError: No module named 'absent_library', in {file}:1.",
        ),
        (
            "import sys\nsys.exit(3)\n",
            "./mine.py:a",
            "{file} cannot be loaded: it calls sys.exit(3), in {file}:2.",
        ),
        ("import json\njson.loads('[')\n", "./mine.py:a", "in {file}:2. Mend it"),
        (
            "from homeostat import Settings\nsettings = Settings(epochs=0)\n",
            "./mine.py:settings",
            "{file} cannot be loaded: ConfigError: epochs 0 must be at least 1, in {file}:2.",
        ),
        (
            "",
            "absent.ecg:recipe",
            "There is no module 'absent.ecg': 'absent' is neither installed nor in {folder}.",
        ),
        (
            "",
            "json.ecg:recipe",
            "There is no module 'json.ecg': 'json.ecg' is neither installed nor in {folder}.",
        ),
    ],
)
def test_what_cannot_be_loaded_gets_a_sentence(outside: Path, source: str, word: str, sentence: str) -> None:
    (outside / "mine.py").write_text(source)
    with pytest.raises(ConfigError) as error:
        value_at(word)
    assert sentence.format(folder=outside, file=outside / "mine.py") in str(error.value)
    assert "mine" not in sys.modules or source in ("one = 1\n", "one = 'x'\n", "one = None\n")


def test_the_line_is_that_of_the_users_own_code_also_one_file_further(outside: Path) -> None:
    (outside / "deep.py").write_text("import json\n\njson.loads('[')\n")
    (outside / "mine.py").write_text("import deep\n")
    with pytest.raises(
        ConfigError, match=r"mine\.py cannot be loaded: JSONDecodeError: .*deep\.py:3\. Mend it"
    ):
        value_at("./mine.py:a")


def test_a_file_with_the_name_of_another_module_is_refused(outside: Path) -> None:
    """Python would give the one to whoever asks for the other."""
    (outside / "json.py").write_text("one = 1\n")
    with pytest.raises(
        ConfigError, match=r"would be the module 'json', but that name belongs to .*json.*Rename"
    ):
        value_at("./json.py:one")


def test_a_file_that_failed_is_loaded_again_when_it_is_mended(outside: Path) -> None:
    (outside / "mine.py").write_text("one = 1 / 0\n")
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        value_at("./mine.py:one")
    (outside / "mine.py").write_text("one = 1\n")
    assert value_at("./mine.py:one") == 1
