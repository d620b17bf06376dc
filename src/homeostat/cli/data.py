"""Prepare raw data into a store, explain it, check it, or simulate it in the first place."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from homeostat import console
from homeostat.cli import flags, look
from homeostat.errors import ConfigError, DataError, did_you_mean
from homeostat.recipes.recipe import Recipe

# Flags of `data` alone; the others are settings, which the next command repeats.
TAKEN = ("--data", "--stores", "--preset", "--json")
ACTIONS = {
    "look": "guess layout, columns and units of raw data, and the line to type",
    "prepare": "read the raw data into a store",
    "explain": "say why the store would be reused or built anew",
    "verify": "check every byte of the store against its checksums",
    "simulate": "write a simulated cohort with known truth",
}


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where the data is."""

    data: Path
    """Folder or file with the raw data."""
    stores: Path = Path("stores")
    """Folder for prepared data."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Named configuration of the recipe."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, kw_only=True)
class Simulate:
    """The cohort that is simulated."""

    out: Path
    """Folder to write; must be empty or new."""
    seed: int = 0
    """Another seed is another cohort."""


def run(command: str, words: Sequence[str]) -> None:
    """Run `data prepare`, `data explain`, `data verify` or `data simulate`."""
    if words and words[0] in flags.HELP:
        rows = [
            (f"homeostat data {name} {'FILE' if name == 'look' else 'RECIPE'}", does)
            for name, does in ACTIONS.items()
        ]
        console.table(("command", "what it does"), rows)
        return
    if not words or words[0] not in ACTIONS:
        word = words[0] if words else ""
        raise ConfigError(
            "Write: homeostat data look FILE, or homeostat data prepare|explain|verify|simulate RECIPE."
            f"{did_you_mean(word, ACTIONS)}"
        )
    action = words[0]
    if action == "look":
        look.run(words[1:])
        return
    recipe, rest = flags.recipe_first(f"data {action}", words[1:])
    program = f"homeostat data {action} {recipe.word}"
    if action == "simulate":
        options = flags.parse(Simulate, rest, program, "Write a simulated cohort with known truth.")
        simulate(recipe, options.out, options.seed)
    else:
        about = f"{action.capitalize()} the store. It takes the same flags as train."
        where, config = flags.with_settings(recipe, Where, rest, program, about)
        settings = flags.without(rest, TAKEN)
        {"prepare": prepare, "explain": explain, "verify": verify}[action](recipe, config, where, settings)


def simulate(recipe: Recipe[Any], out: Path, seed: int) -> None:
    """Write a simulated cohort into an empty folder."""
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out} is not empty. Choose a new folder for the simulated data.")
    out.mkdir(parents=True, exist_ok=True)
    recipe.simulate(out, seed)
    preset = "demo" if "demo" in recipe.presets else None
    console.say(f"Wrote a simulated cohort to {out}\n{_next(recipe, out, preset)}")


def prepare(recipe: Recipe[Any], config: Any, where: Where, settings: Sequence[str]) -> None:
    """Find or build the store, and say what was dropped."""
    store = recipe.prepare(config, where.data, where.stores)
    if where.json:
        about = {
            "store": store.path,
            "reasons": store.explanation,
            "counts": {what: count for what, count in store.counts.items() if count},
        }
        console.emit({**about, "fingerprint": store.fingerprint})
        return
    for sentence in (*store.explanation, *store.report()):
        console.say(sentence)
    console.say(f"Store: {store.path}\n{_next(recipe, where.data, where.preset, settings)}")


def explain(recipe: Recipe[Any], config: Any, where: Where, settings: Sequence[str]) -> None:
    """Say why the store would be reused or built anew; nothing is built."""
    explanation = recipe.explain(config, where.data, where.stores)
    if where.json:
        about = {"reused": explanation.reused, "store": explanation.path, "reasons": explanation.sentences}
        console.emit({**about, "next": "" if explanation.reused else _preparing(recipe, where, settings)})
        return
    console.say(
        f"{explanation}\nNext: {_preparing(recipe, where, settings)}"
        if not explanation.reused
        else str(explanation)
    )


def verify(recipe: Recipe[Any], config: Any, where: Where, settings: Sequence[str]) -> None:
    """Check every byte; nothing is mended."""
    explanation = recipe.explain(config, where.data, where.stores)
    if not explanation.reused:
        raise DataError(f"{' '.join(explanation.sentences)} Build it: {_preparing(recipe, where, settings)}")
    if where.json:
        console.emit({"store": explanation.path, "whole": True})
    else:
        console.say(f"{explanation.path} is whole: every checksum holds.")


def _preparing(recipe: Recipe[Any], where: Where, settings: Sequence[str]) -> str:
    given = {"--data": where.data, "--stores": where.stores, "--preset": where.preset}
    words = [str(word) for pair in given.items() if pair[1] is not None for word in pair]
    return shlex.join(["homeostat", "data", "prepare", recipe.word, *words, *settings])


def _next(recipe: Recipe[Any], raw: Path, preset: str | None, settings: Sequence[str] = ()) -> str:
    """A preset also says how the columns of its data are called, so it is named again."""
    words = ["homeostat", "train", recipe.word, "--data", str(raw)]
    words += [] if preset is None else ["--preset", preset]
    return "Next: " + shlex.join([*words, *settings])
