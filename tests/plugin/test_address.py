"""An address holds from any folder, and a wrong one is named with what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.errors import ConfigError
from homeostat.plugin.address import Address, is_address, parse


@pytest.mark.parametrize(
    "word", ["my.py:recipe", "./my.py:recipe", "{folder}/my.py:recipe", "sub/../my.py:recipe"]
)
def test_one_file_has_one_address(outside: Path, word: str) -> None:
    (outside / "my.py").touch()
    (outside / "sub").mkdir()
    address = parse(word.format(folder=outside))
    assert address == Address(str(outside / "my.py"), "recipe")
    assert address.is_file


def test_an_address_is_read_back_from_its_text(outside: Path) -> None:
    (outside / "my.py").touch()
    for word in ("./my.py:recipe", "json:loads", "xml.dom:Node"):
        assert parse(str(parse(word))) == parse(word)


def test_a_module_of_the_working_folder_is_its_file(outside: Path) -> None:
    """From another folder its name would find nothing, or another module."""
    package = outside / "mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ecg.py").touch()
    assert parse("mine.ecg:recipe") == Address(str(package / "ecg.py"), "recipe")
    assert parse("mine:recipe") == Address(str(package / "__init__.py"), "recipe")
    assert parse("json.decoder:JSONDecoder") == Address("json.decoder", "JSONDecoder")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "./my_ecgg.py:recipe",
            "There is no file my_ecgg.py (looked for {folder}/my_ecgg.py). Did you mean 'my_ecg.py'?",
        ),
        ("./my_ecg.txt:recipe", "my_ecg.txt in './my_ecg.txt:recipe' is no Python file."),
        ("./my_ecg.py", "'./my_ecg.py' names a file, but nothing in it. Write ./my_ecg.py:NAME"),
        ("./my_ecg.py:", "'./my_ecg.py:' names a file, but nothing in it. Write ./my_ecg.py:NAME"),
        ("json:", "'json:' names a module, but nothing in it. Write json:NAME"),
        ("my-ecg:recipe", "'my-ecg' in 'my-ecg:recipe' is neither a Python file nor a module."),
        ("bare.ecg:recipe", "The folder bare is no package: it has no __init__.py. Add an empty one."),
    ],
)
def test_a_wrong_address_gets_a_sentence(outside: Path, word: str, sentence: str) -> None:
    (outside / "my_ecg.py").touch()
    (outside / "bare").mkdir()
    (outside / "bare" / "ecg.py").touch()
    with pytest.raises(ConfigError) as error:
        parse(word)
    assert sentence.format(folder=outside) in str(error.value)


def test_a_name_is_no_address() -> None:
    assert not any(map(is_address, ("icu", "my-ecg", "battery")))
    assert all(map(is_address, ("my.py", "my.py:a", "a.b:c", "./my", "a/b.py:c")))
