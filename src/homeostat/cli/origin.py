"""Which recipe and which code a run was made with, and whether they are still the same."""

from __future__ import annotations

from typing import Any

from homeostat import console
from homeostat.config import from_plain
from homeostat.errors import ConfigError, RunError
from homeostat.plugin.address import is_address
from homeostat.plugin.digest import changes
from homeostat.recipes import find
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run


def has_recipe(run: Run) -> bool:
    """Say whether a command can train the run; one that was made from Python has only the code that made it."""
    return bool(run.config().get("recipe"))


def recipe_of(run: Run) -> tuple[Recipe[Any], Any]:
    """Return the recipe and the configuration that a run was made with."""
    plain = run.config()
    word = plain.get("recipe")
    if not word:
        raise RunError(
            f"{run.folder} was made from Python, without a recipe: only the code that made it can train it or predict "
            "with it. Run that code again: `fit` goes on where it was left."
        )
    try:
        recipe = find(word)
    except ConfigError as error:
        if is_address(word):
            error.add_note(
                f"{run.folder} was made with the recipe {word}. Put it back there, or write where it is now into "
                f'{run.config_file} ("recipe"), and vouch for it: homeostat verify {run.folder} --seal'
            )
        raise
    return recipe, from_plain(recipe.config, plain["config"])


def warn_of_changes(run: Run) -> list[str]:
    """Say which files of the user's own code are other than when the run was made."""
    sentences = changes(run.config().get("code", {}))
    # A warning, not an error: a mended comment must not end a run of days.
    for sentence in sentences:
        console.warn(sentence)
    return sentences
