"""Write the command that trains a run again, from any folder, into a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from homeostat.errors import command
from homeostat.report.collect import Collected
from homeostat.report.words import escape

# Where a run reads and writes, and how long it may take; none of these changes a result.
_PLACES = ("--data", "--run", "--stores", "--stop-after", "--jobs", "--root")
_SWITCHES = ("--detach", "--no-detach", "--resume", "--no-resume")


def again(run: Collected) -> str:
    """Show how to train the run again and how to write this page again."""
    trained = training(run)
    lines = [command(*trained)] if trained else []
    lines += [command(verb, run.folder) for verb in ("evaluate", "report")]
    note = (
        "The first line trains it again beside this run. The others score this run and write this page."
        if trained
        else "No command trained this run: it was made from Python."
    )
    text = escape("\n".join(lines))
    return f'<section class="again"><h2>Again</h2><pre>{text}</pre><p class="quiet">{note}</p></section>'


def training(run: Collected) -> list[str]:
    """Return the words after `homeostat` that train the run again, from anywhere; empty where none did."""
    words = [str(word) for word in run.environment.get("command", ())]
    if len(words) < 2 or not _is_ours(words[0]) or words[1] not in ("train", "demo"):
        return []
    verb, rest = words[1], _settings(words[2:])
    if verb == "demo":
        return [verb, *rest]
    recipe, *flags = rest or [""]
    # Of an address the configuration keeps the whole path.
    return [verb, run.recipe or recipe, "--data", run.data, *flags]


def _is_ours(program: str) -> bool:
    path = PurePath(program)
    return path.stem == "homeostat" or path.parts[-2:] == ("homeostat", "__main__.py")


def _settings(words: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in _PLACES:
            skip = True
        elif word not in _SWITCHES and not word.startswith(tuple(f"{place}=" for place in _PLACES)):
            kept.append(word)
    return kept
