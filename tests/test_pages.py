"""The pages name what exists: links lead to files, commands are commands, flags are flags, scripts are there."""

from __future__ import annotations

import contextlib
import functools
import io
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from homeostat import cli
from homeostat.cli.flags import ALSO_CALLED
from homeostat.recipes import RECIPES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "log").glob("*.md")),
]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]
# Flags of other programs that the pages name alone, not inside a command.
FOREIGN_FLAGS = {
    "--max-restarts": "torchrun",
    "--run-path": "torchrun",
    "--no-compile": "pip",
    "--rounds": "benchmarks",
    "--table": "benchmarks/faults.py",
}


def code(text: str) -> Iterator[str]:
    """Yield each line of a block that is no Python, and each piece of text in backticks outside of blocks."""
    for number, part in enumerate(text.split("```")):
        if number % 2 == 0:
            yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", part))
        elif not part.startswith("python"):
            yield from part.splitlines()


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words after `homeostat` of each command, up to a comment, a pipe or another command."""
    for line in code(text):
        for match in re.finditer(r"(?:^|[\s/])homeostat (-?[a-z][^#|&;]*)", line):
            yield match[1].split()


@functools.cache
def help_flags(*words: str) -> frozenset[str]:
    """Return the flags in the help of one command."""
    shown = io.StringIO()
    with (
        patch.dict("os.environ", COLUMNS="400"),
        contextlib.redirect_stdout(shown),
        pytest.raises(SystemExit),
    ):
        cli.main([*words, "--help"])
    return frozenset(re.findall(r"--[a-z][\w-]*", shown.getvalue()))


def flags_of(command: str, recipe: str) -> frozenset[str]:
    """Return the flags of a command; those of `train` and `verify-resume` depend on the recipe."""
    if command == "data":
        parts = ("prepare", "explain", "verify", "simulate")
        return frozenset().union(*(help_flags("data", part, recipe) for part in parts))
    return help_flags(command, recipe) if command in ("train", "verify-resume") else help_flags(command)


@pytest.mark.parametrize("name", NAMES)
def test_headings_state(name: str) -> None:
    """A reader finds a page by what it holds, not by a question that it may answer."""
    outside = "".join((ROOT / name).read_text(encoding="utf-8").split("```")[::2])
    asking = [line for line in outside.splitlines() if line.startswith("#") and "?" in line]
    assert not asking, f"{name} has headings that ask: {asking}"


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_resolve(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken, f"{name} links to what is not there: {broken}"


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_their_flags_exist(name: str) -> None:
    wrong = []
    for words in commands((ROOT / name).read_text(encoding="utf-8")):
        if words[0] not in cli.COMMANDS:
            wrong += [words[0]] if not words[0].startswith("-") else []
            continue
        recipe = next((word for word in words if word in RECIPES), "battery")
        given = {word.split("=")[0].rstrip(".,") for word in words if word.startswith("--")}
        wrong += [f"{words[0]} {recipe} {flag}" for flag in given - flags_of(words[0], recipe)]
    assert not wrong, f"{name} names commands or flags that do not exist: {wrong}"


@pytest.mark.parametrize("name", NAMES)
def test_flags_that_stand_alone_exist(name: str) -> None:
    known = {*FOREIGN_FLAGS, *ALSO_CALLED}.union(
        *(flags_of(command, recipe) for command in cli.COMMANDS for recipe in RECIPES)
    )
    alone = {
        word.split("=")[0].rstrip(".,")
        for span in code((ROOT / name).read_text(encoding="utf-8"))
        if re.match(r"--[a-z]", span)
        for word in span.split()
        if word.startswith("--")
    }
    wrong = sorted(alone - known)
    assert not wrong, f"{name} names flags that no command has: {wrong}"


@pytest.mark.parametrize("name", NAMES)
def test_scripts_tests_and_make_targets_exist(name: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    wrong = []
    for span in code((ROOT / name).read_text(encoding="utf-8")):
        paths = re.findall(r"(?:^|\s)((?:benchmarks|tests|src|docs|log)/[\w./-]+)", span)
        wrong += [path for path in paths if not (ROOT / path).exists()]
        wrong += [f"make {word}" for word in re.findall(r"^make ([a-z-]+)", span) if word not in targets]
    assert not wrong, f"{name} names what is not there: {wrong}"


def test_a_wrong_command_is_noticed() -> None:
    page = "Run `homeostat trian battery` and\n```\nhomeostat train battery --epochs 3 | homeostat runs  # list\n```\n"
    assert list(commands(page)) == [["trian", "battery"], ["train", "battery", "--epochs", "3"], ["runs"]]
    assert "--epochs" in flags_of("train", "battery")
    assert "--epoch-count" not in flags_of("train", "battery")
