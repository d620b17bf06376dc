"""Where a run stands: its state, steps and score, and what to do next, read from its files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from homeostat import console
from homeostat.cli.origin import has_recipe
from homeostat.errors import ConfigError, RunError
from homeostat.errors import command as spell
from homeostat.run import Run, is_unbegun

COLUMNS = ("run", "state", "step", "left", "score", "heartbeat")


def facts_of(run: Run) -> dict[str, Any]:
    """Return where a run stands. The steps of a run that consists of others are those of the one at work, or the last.

    The score is the run's own: the headline of its metrics once it is done, or that of its last evaluation. While
    another run inside it is at work, it is the score of that one, and `score_of` names it.
    """
    status = run.status()
    within = status if "step" in status else inner(run)
    state = status["state"]
    score, score_of, recipe, reason = status.get("score"), "", "", status.get("reason", "")
    try:
        recipe = run.kept(run.config_file).get("recipe", "")
        metrics = run.kept(run.metrics_file) if state == "done" else {}
    except RunError as error:  # the other runs are listed all the same
        reason, metrics = str(error), {}
    if metrics:
        score = _headline(metrics)
    elif score is None and state == "running" and "score" in within:
        score, score_of = within["score"], within["within"]
    return {
        "run": str(run.folder),
        "recipe": recipe,
        "state": state,
        "reason": reason,
        "exit_code": status.get("exit_code"),
        "step": within.get("step"),
        "total": within.get("total"),
        "step_of": within.get("within", ""),
        "eta_s": within.get("eta_s") if within.get("state") == "running" else None,
        "score": score,
        "score_of": score_of,
        "started": status.get("started"),
        "heartbeat": status.get("heartbeat"),
        "host": status.get("host"),
        "pid": status.get("pid"),
    }


def _headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headline's name with its split, and its value; no value where it cannot be estimated."""
    best = metrics.get("headline", {})
    name = " ".join(str(best[key]) for key in ("name", "target") if best.get(key))
    return {f"{best.get('split', '')}/{name}": best.get("value")}


def row(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the facts of a run in one row."""
    eta = facts["eta_s"]
    left = "" if eta is None else console.duration(eta)
    return facts["run"], facts["state"], _steps(facts), left, score_words(facts), age(facts["heartbeat"])


def score_words(facts: Mapping[str, Any]) -> str:
    if facts["score"] is None:
        is_unscored = facts["state"] == "done" and facts["recipe"] and facts["step_of"] != ""
        return "not evaluated" if is_unscored else ""
    scores = "  ".join(
        f"{name} {'not estimable' if value is None else console.number(value)}"
        for name, value in facts["score"].items()
    )
    return f"{facts['score_of']}: {scores}" if facts["score_of"] else scores


def inner(run: Run) -> dict[str, Any]:
    children = [{**child.status(), "within": child.name} for child in run.children()]
    # The one at work, else the last that was: the heartbeat is in UTC and sorts as text.
    children.sort(key=lambda child: (child["state"] == "running", child.get("heartbeat", "")))
    return children[-1] if children else {}


def _steps(facts: Mapping[str, Any]) -> str:
    if facts["step"] is None or facts["total"] is None:
        return ""
    where = f"{facts['step_of']}: " if facts["step_of"] else ""
    return f"{where}{facts['step']} of {facts['total']}"


def age(heartbeat: str | None) -> str:
    """Say how long ago a heartbeat was. A clock that was set back shows as `just now`; nothing is decided by it."""
    if heartbeat is None:
        return ""
    age = (datetime.now(UTC) - datetime.fromisoformat(heartbeat)).total_seconds()
    return "just now" if age < 10 else f"{console.duration(age)} ago"


def way_on(run: Run) -> tuple[str, str]:
    """Return what to do about the state of a run in words, and the command that does it; either may be nothing."""
    facts = run.status()
    if not run.config_file.exists():
        return "", ""  # a run inside another is continued and scored with that one
    if facts["state"] == "running":
        return "", spell("logs", "-f", run.folder)
    if facts["state"] == "done":
        return "", spell("report" if run.metrics_file.exists() else "evaluate", run.folder)
    if not has_recipe(run):
        return "Run the Python code again that made it: `fit` goes on where it was left.", ""
    if facts["state"] == "failed" and is_unbegun(run):
        origin = run.config()
        words = ("train", origin["recipe"], "--data", origin["data"], "--run", run.folder)
        return "Nothing was trained. Mend what the reason says, and start again with your flags.", spell(
            *words
        )
    if facts.get("exit_code") == ConfigError.exit_code:
        return (
            "What was trained is kept. Mend what the reason says first: the same start ends in the same way.",
            spell("resume", run.folder),
        )
    return "", spell("resume", run.folder)
