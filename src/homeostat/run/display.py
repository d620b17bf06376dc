"""The look of a run in a notebook: where it stands, what it scored, and what its guards said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

# Runs inside a run that are listed; a table of a hundred folds says less than the first ones.
MOST_CHILDREN = 12


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The state of a run, read from its files."""

    folder: str
    recipe: str
    status: Mapping[str, Any]
    headline: Mapping[str, Any] | None
    alarms: Sequence[str]
    """Their sentences, the oldest first."""
    children: Mapping[str, Mapping[str, Any]]
    """Name of a run inside this one -> its status."""


def html(facts: Facts) -> str:
    """Return a table of the run and of the runs inside it."""
    rows = [("run", facts.folder), ("recipe", facts.recipe), ("state", state(facts.status))]
    rows.append(("reason", str(facts.status.get("reason", ""))))
    rows.append(("headline", "" if facts.headline is None else headline(facts.headline)))
    rows.append((f"alarms ({len(facts.alarms)})", facts.alarms[-1] if facts.alarms else ""))
    children = list(facts.children.items())
    rows += [(f"inside: {name}", state(status)) for name, status in children[:MOST_CHILDREN]]
    more = len(children) - MOST_CHILDREN
    rows.append(("inside", f"and {more} more" if more > 0 else ""))
    return _table([(name, text) for name, text in rows if text])


def state(status: Mapping[str, Any]) -> str:
    """Return the state, the step, and the newest scores: `running, step 120 of 400, valid/auroc 0.8412`."""
    step = [f"step {status['step']} of {status['total']}"] if {"step", "total"} <= status.keys() else []
    scores = [f"{name} {_number(value)}" for name, value in status.get("score", {}).items()]
    return ", ".join([str(status["state"]), *step, *scores])


def headline(score: Mapping[str, Any]) -> str:
    """Return a score with its interval, split and n."""
    value, low, high = (score.get(name) for name in ("value", "low", "high"))
    if value is None:
        return f"{score['name']} not estimable: {score.get('note', '')}"
    interval = "" if low is None or high is None else f" ({_number(low)} to {_number(high)})"
    return f"{score['name']} {_number(value)}{interval}, {score['split']}, n = {score['n']}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f"<table>{cells}</table>"
