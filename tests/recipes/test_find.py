"""One function turns a word into a recipe: our own by name, others by address or entry point."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from homeostat.errors import ConfigError
from homeostat.recipes import RECIPES, find, published

ROOT = Path(__file__).resolve().parents[2]
HEAD = "import dataclasses\nfrom my_curve import *\n"


@pytest.fixture
def installed(outside: Path) -> Path:
    """A package with entry points, as pip would leave it."""
    shutil.copy(ROOT / "tests" / "curve.py", outside / "my_curve.py")
    about = outside / "my_curve-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-curve\nVersion: 1.0\n")
    points = "my-curve = my_curve:recipe\nicu = my_curve:recipe\nbroken = my_curve:absent\n"
    (about / "entry_points.txt").write_text(f"[homeostat.recipes]\n{points}")
    return outside


def test_ours_by_name() -> None:
    for name in RECIPES:
        recipe = find(name)
        assert (recipe.name, recipe.word) == (name, name)


def test_a_file_and_its_absolute_path_are_one_recipe(installed: Path) -> None:
    by_path = find(str(installed / "my_curve.py") + ":recipe")
    assert by_path == find("./my_curve.py:recipe") == find("my_curve:recipe")
    assert by_path.word == f"{installed / 'my_curve.py'}:recipe"
    assert find(by_path.word) == by_path


def test_entry_points_by_name(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed)
    monkeypatch.chdir(tmp_path)
    assert published()["my-curve"] == ["my_curve:recipe"]
    assert find("my-curve").word == "my_curve:recipe"
    assert find("my_curve:recipe") == find("my-curve")
    assert find("icu").word == "icu"  # a package cannot take the name of one of ours
    with pytest.raises(ConfigError, match="my_curve has no 'absent'; expected a Recipe"):
        find("broken")
    with pytest.raises(ConfigError, match="There is no recipe 'mycurve'. Did you mean 'my-curve'"):
        find("mycurve")


def test_two_packages_with_one_name_are_told_apart_by_address(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(installed / "my_curve-1.0.dist-info", installed / "other-1.0.dist-info")
    for file, old, new in (("METADATA", "my-curve", "other"), ("entry_points.txt", "my_curve:", "other:")):
        path = installed / "other-1.0.dist-info" / file
        path.write_text(path.read_text().replace(old, new))
    monkeypatch.syspath_prepend(installed)
    with pytest.raises(
        ConfigError, match="Several packages publish a recipe 'my-curve'. Give its address: .*other:recipe"
    ):
        find("my-curve")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "recipe = dataclasses.replace(recipe, name='my recipe')",
            "is called 'my recipe'. Runs and flags are named",
        ),
        ("recipe = dataclasses.replace(recipe, name='run')", "and not the word run"),
        ("recipe = dataclasses.replace(recipe, config=dict)", "is <class 'dict'>; expected a dataclass"),
        (
            "@dataclass\nclass Bare:\n    size: int = 1\nrecipe = dataclasses.replace(recipe, config=Bare)",
            "Bare of the recipe ./mine.py:recipe has no field `fit`. Add the settings of training: fit: Settings",
        ),
        (
            "@dataclass\nclass Open:\n    size: int\n    fit: Settings = field(default_factory=Settings)\n"
            "recipe = dataclasses.replace(recipe, config=Open)",
            "has no default for size. Give each field one",
        ),
        (
            "recipe = recipe.name",
            "./mine.py:recipe is of type str; expected a Recipe (from homeostat import Recipe).",
        ),
    ],
)
def test_a_recipe_that_no_command_can_use_is_refused_with_its_cure(
    installed: Path, source: str, sentence: str
) -> None:
    (installed / "mine.py").write_text(HEAD + source + "\n")
    with pytest.raises(ConfigError) as error:
        find("./mine.py:recipe")
    assert sentence in str(error.value)
