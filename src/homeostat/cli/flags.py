"""Words become options: dataclasses by tyro, with the recipe's name in front."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

from homeostat import console
from homeostat.errors import ConfigError
from homeostat.recipes import EXAMPLE, RECIPES, SUMMARIES, find, published
from homeostat.recipes.recipe import Recipe

T = TypeVar("T")

HELP = ("-h", "--help")
# What other training systems call a setting -> its name here.
ALSO_CALLED = {"--gradient-clip": "--clip", "--early-stop-patience": "--patience"}
# Flags that may be given several times; the parser would keep the last one and drop the others.
REPEATED = ("--guard", "--audit", "--units")


def recipe_first(command: str, words: Sequence[str]) -> tuple[Recipe[Any], list[str]]:
    """Take the recipe's name or address, the first word, off the words."""
    if not words or words[0].startswith("-"):
        known = {name: SUMMARIES[name] if name in SUMMARIES else find(name).summary for name in RECIPES}
        known |= {
            name: ", ".join(addresses) for name, addresses in published().items() if name not in RECIPES
        }
        known |= {EXAMPLE: "a recipe of your own, by its address"}
        listed = "\n".join(f"  {name:12} {summary}" for name, summary in known.items())
        usage = f"Write: homeostat {command} RECIPE [flags]. Recipes:\n{listed}"
        if words and words[0] in HELP:
            console.say(f"{usage}\n\nThe flags of each: homeostat {command} {next(iter(RECIPES))} --help")
            raise SystemExit(0)
        raise ConfigError(f"Which recipe? {usage}")
    return find(words[0]), list(words[1:])


def presets_of(recipe: Recipe[Any]) -> str:
    """List the presets of a recipe, for its help."""
    listed = ", ".join(recipe.presets)
    return f"Presets (--preset NAME): {listed}; without one, the defaults below."


def with_settings(
    recipe: Recipe[Any], kind: type[T], words: Sequence[str], program: str, about: str
) -> tuple[T, Any]:
    """Read the options of a command and every setting of a recipe, which --preset chooses the defaults of."""
    default = recipe.preset(value_of("--preset", words))
    group = recipe.name.replace("-", "_")
    # These names head the help: "run options" and "icu options". An option without a default must be given.
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # a class of options is a dataclass
    needs = any(f.default is f.default_factory is dataclasses.MISSING for f in fields)
    run = ("run", kind) if needs else ("run", kind, dataclasses.field(default_factory=kind))
    both = dataclasses.make_dataclass(
        "Options", [run, (group, recipe.config, dataclasses.field(default=default))], frozen=True
    )
    parsed: Any = parse(both, words, program, f"{about} {presets_of(recipe)}")
    return parsed.run, getattr(parsed, group)


def without(words: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The words without some flags and their values, to be repeated in the next command."""
    rest: list[str] = []
    skip = False
    for word in words:
        if word.startswith("--"):
            skip = word.partition("=")[0] in taken
        rest += [] if skip else [word]
    return rest


def value_of(flag: str, words: Sequence[str]) -> str | None:
    """Return the value of one flag before the others can be understood."""
    # --preset decides the defaults of all other flags, so it is read before they are.
    for position, word in enumerate(words):
        if word == flag and position + 1 < len(words):
            return words[position + 1]
        if word.startswith(flag + "="):
            return word.removeprefix(flag + "=")
    return None


def parse(kind: type[T], words: Sequence[str], program: str, summary: str) -> T:
    """Read words into a dataclass. Nested settings need no prefix: --learning-rate, not --config.fit.optim...."""
    return tyro.cli(
        kind,
        args=_gathered([_own_name(word) for word in words]),
        prog=program,
        description=summary,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def _own_name(word: str) -> str:
    flag, equals, value = word.partition("=")
    return ALSO_CALLED.get(flag.replace("_", "-"), flag) + equals + value


def _gathered(words: Sequence[str]) -> list[str]:
    """Put all values of a repeated flag behind one flag: --guard a --guard b is --guard a b."""
    rest: list[str] = []
    values: dict[str, list[str]] = {}
    current: list[str] | None = None
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in REPEATED:
            current = values.setdefault(flag, [])
            current += [value] if equals else []
        elif word.startswith("-"):
            current = None
            rest.append(word)
        else:
            (rest if current is None else current).append(word)
    return rest + [word for flag, given in values.items() for word in (flag, *given)]
