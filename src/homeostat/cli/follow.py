"""Show what runs are doing, from plain files alone; only `stop` sends a signal."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import tyro

from homeostat import console
from homeostat.cli.origin import has_recipe
from homeostat.errors import ConfigError, RunError
from homeostat.run import Run, find_all, is_unbegun, open_run

# The journal reaches the disk once a second (run/life.py); twice as often misses nothing.
POLL_S = 0.5
COLUMNS = ("run", "state", "step", "left", "score", "heartbeat")
# `sentence` gives these keys of an event a place of their own; a traceback is for the file, not for a reader.
_PLACED = ("time", "kind", "within", "step", "epoch", "sentence", "traceback")


@dataclass(frozen=True, kw_only=True)
class One:
    """One run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The journal to print."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    follow: Annotated[bool, tyro.conf.arg(aliases=["-f"])] = False
    """Go on until the run ends."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The run to stop, and how long to wait for it."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    wait_s: float = 60.0
    """Seconds to wait until its state is on the disk."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The runs to list."""

    root: Path = Path("runs")
    """Folder of runs."""


def run(command: str, words: Sequence[str]) -> None:
    """Run `runs`, `status`, `logs` or `stop`."""
    if command == "runs":
        runs(_parse(Runs, words, command, "List runs.").root)
    elif command == "status":
        status(_open(_parse(One, words, command, "Say where a run stands.").run))
    elif command == "logs":
        options = _parse(Logs, words, command, "Print the journal in words.")
        logs(_open(options.run), options.follow)
    else:
        options = _parse(Stop, words, command, "Ask a live run to save and stop.")
        stop(open_run(options.run), options.wait_s)


def _open(folder: Path) -> Run:
    """Open a run, or one inside another: those have no configuration of their own, but can be looked at."""
    inner = Run(folder)
    return inner if folder.parent.name == "children" and inner.journal_file.exists() else open_run(folder)


def _parse(kind: type[Any], words: Sequence[str], command: str, summary: str) -> Any:
    return tyro.cli(
        kind,
        args=list(words),
        prog=f"homeostat {command}",
        description=summary,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def runs(root: Path) -> None:
    """List the runs in a folder."""
    listed = find_all(root)
    if not listed:
        console.say(f"There are no runs in {root}. Start one: homeostat train RECIPE --data PATH")
        return
    console.table(COLUMNS, [_row(run) for run in listed])


def _row(run: Run) -> tuple[str, ...]:
    """Describe a run in one row; a run that consists of others shows the steps of the one at work, or the last."""
    facts = run.status()
    within = facts if "step" in facts else _inner(run)
    eta = within.get("eta_s")
    left = console.duration(eta) if within.get("state") == "running" and eta is not None else ""
    score = "  ".join(f"{name} {console.number(value)}" for name, value in within.get("score", {}).items())
    return str(run.folder), facts["state"], _steps(within), left, score, _age(facts.get("heartbeat"))


def _inner(run: Run) -> dict[str, Any]:
    children = [{**child.status(), "within": child.name} for child in run.children()]
    # The one at work, else the last that was: the heartbeat is in UTC and sorts as text.
    children.sort(key=lambda child: (child["state"] == "running", child.get("heartbeat", "")))
    return children[-1] if children else {}


def _steps(facts: dict[str, Any]) -> str:
    if "step" not in facts or "total" not in facts:
        return ""
    where = f"{facts['within']}: " if "within" in facts else ""
    return f"{where}{facts['step']} of {facts['total']}"


def _age(heartbeat: str | None) -> str:
    """Say how long ago a heartbeat was. A clock that was set back shows as `just now`; nothing is decided by it."""
    if heartbeat is None:
        return ""
    age = (datetime.now(UTC) - datetime.fromisoformat(heartbeat)).total_seconds()
    return "just now" if age < 10 else f"{console.duration(age)} ago"


def status(run: Run) -> None:
    """Say where a run and the runs inside it stand."""
    facts = run.status()
    shown = {"run": str(run.folder), **facts, "heartbeat": _age(facts.get("heartbeat"))}
    console.table(
        ("status", ""), [(key, _plain(value)) for key, value in shown.items() if value not in (None, "")]
    )
    if run.children():
        console.say()
        console.table(COLUMNS, [_row(child) for child in run.children()])
    if not run.config_file.exists():
        return  # a run inside another is continued and scored with that one
    if facts["state"] != "running":
        console.say(f"\nNext: {_next(run, facts)}")


def _next(run: Run, facts: dict[str, Any]) -> str:
    if facts["state"] == "done":
        return f"homeostat {'report' if run.metrics_file.exists() else 'evaluate'} {run.folder}"
    if facts.get("exit_code") == ConfigError.exit_code and is_unbegun(run):
        origin = run.config()
        words = ["homeostat", "train", origin["recipe"], "--data", origin["data"], "--run", str(run.folder)]
        return f"{shlex.join(words)}, with other flags: nothing was trained"
    if not has_recipe(run):
        return "run the Python code again that made it: `fit` goes on where it was left"
    return f"homeostat resume {run.folder}"


def _plain(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def logs(run: Run, follow: bool) -> None:
    """Print the journal of a run; with `follow` also the events that come while it lives."""
    for event in _lines(run, follow):
        console.say(sentence(event))


def sentence(event: dict[str, Any]) -> str:
    """Write one event in words."""
    where = " ".join(f"{name} {event[name]}" for name in ("epoch", "step") if name in event)
    numbers = [f"{key} {_number(value)}" for key, value in event.items() if key not in _PLACED]
    parts = (
        event.get("time", "")[:19],
        f"{event.get('kind', ''):8}",
        event.get("within", ""),
        where,
        event.get("sentence", ""),
        "  ".join(numbers),
    )
    return "  ".join(part for part in parts if part)


def _number(value: Any) -> str:
    return console.number(value) if isinstance(value, float) else str(value)


def _lines(run: Run, follow: bool) -> Iterator[dict[str, Any]]:
    """Yield events as they are written, those of the runs inside it too, in the order of their time."""
    # Places in bytes, by run: children begin while their parent is followed.
    read: dict[str, int] = {}
    while True:
        # Look before the journals are read: the last events of a run that has just ended are then still yielded.
        is_over = not follow or not run.is_alive()
        fresh = [event for name, member in run.family() for event in _fresh(member, name, read)]
        yield from sorted(fresh, key=lambda event: str(event.get("time", "")))
        if is_over:
            return
        time.sleep(POLL_S)


def _fresh(run: Run, name: str, read: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the events that a journal has gained. A last line without its end is read again when it is whole."""
    if not run.journal_file.exists():
        return
    with run.journal_file.open("rb") as journal:
        journal.seek(read.get(name, 0))
        text = journal.read()
    whole = text[: text.rfind(b"\n") + 1]
    read[name] = read.get(name, 0) + len(whole)
    for line in whole.splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue  # cut off by a kill
        yield {**event, "within": name} if name else event


def stop(run: Run, wait_s: float) -> None:
    """Ask the process of a run to save and stop, and wait until it has."""
    facts = run.status()
    if not run.is_alive():
        raise RunError(f"{run.folder} is not running: its state is {facts['state']}.")
    if facts.get("host") != socket.gethostname():
        raise RunError(f"{run.folder} runs on {facts.get('host')}; stop it there.")
    # The run holds its lock, so the process number in its status is that of a live process.
    os.kill(int(facts["pid"]), signal.SIGTERM)
    until = time.monotonic() + wait_s
    while run.is_alive():
        if time.monotonic() > until:
            raise RunError(
                f"{run.folder} was asked to stop {wait_s:g} s ago and has not yet. It may be preparing data."
            )
        time.sleep(0.1)
    ended = run.status()
    inner = ended if "step" in ended else _inner(run)
    at = f" at step {inner['step']}" if "step" in inner else ""
    console.say(f"{run.folder}: {ended['state']}{at}. {ended.get('reason', '')}".rstrip())
    console.say(f"Next: homeostat resume {run.folder}")
