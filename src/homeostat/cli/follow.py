"""Show what runs are doing, from plain files alone; only `stop` sends a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from homeostat import console
from homeostat.cli.standing import COLUMNS, age, facts_of, inner, row, score_words, way_on
from homeostat.errors import RunError
from homeostat.errors import command as spell
from homeostat.run import Run, find_all, manifest, open_run
from homeostat.run.journal import parsed

# The journal reaches the disk once a second (run/life.py); twice as often misses nothing.
POLL_S = 0.5
# `sentence` gives these keys of an event a place of their own; a traceback is for the file, not for a reader.
_PLACED = ("time", "kind", "within", "step", "epoch", "sentence", "traceback")


@dataclass(frozen=True, kw_only=True)
class One:
    """One run, and the form of the answer."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The journal to print."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    follow: Annotated[bool, tyro.conf.arg(aliases=["-f"])] = False
    """Go on until the run ends."""
    json: bool = False
    """Print each event as the line of JSON that it is in the journal."""


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
    json: bool = False
    """Print JSON."""


def run(command: str, words: Sequence[str]) -> None:
    """Run `runs`, `status`, `logs` or `stop`."""
    if command == "runs":
        options = _parse(Runs, words, command, "List runs.")
        runs(options.root, options.json)
    elif command == "status":
        options = _parse(One, words, command, "Say where a run stands.")
        status(_open(options.run), options.json)
    elif command == "logs":
        options = _parse(Logs, words, command, "Print the journal in words.")
        logs(_open(options.run), options.follow, options.json)
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


def runs(root: Path, as_json: bool = False) -> None:
    """List the runs in a folder."""
    listed = find_all(root)
    if as_json:
        console.emit({"runs": [facts_of(run) for run in listed]})
        return
    if not listed:
        itself = Run(root).config_file.exists() and Run(root).journal_file.exists()
        way = (
            f"It is a run itself: {spell('status', root)}"
            if itself
            else "Start one: homeostat train RECIPE --data PATH"
        )
        console.say(f"There are no runs in {root}. {way}")
        return
    console.table(COLUMNS, [row(facts_of(run)) for run in listed])


def status(run: Run, as_json: bool = False) -> None:
    """Say where a run and the runs inside it stand."""
    facts = facts_of(run)
    children = [facts_of(child) for child in run.children()]
    advice, command = way_on(run)
    if as_json:
        console.emit({**facts, "children": children, "next": command, "advice": advice})
        return
    shown = {
        "run": facts["run"],
        **run.status(),
        "score": score_words(facts),
        "heartbeat": age(facts["heartbeat"]),
    }
    console.table(
        ("status", ""), [(key, _plain(value)) for key, value in shown.items() if value not in (None, "")]
    )
    if children:
        console.say()
        console.table(COLUMNS, [row(child) for child in children])
    if advice or command:
        console.say(f"\n{advice}".rstrip())
        console.say(f"Next: {command}" if command else "")


def _plain(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def logs(run: Run, follow: bool, as_json: bool = False) -> None:
    """Print the journal of a run; with `follow` also the events that come while it lives."""
    for event in _lines(run, follow):
        console.say(json.dumps(event) if as_json else sentence(event))


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
    if not manifest.exists(run.journal_file):
        return
    with manifest.opened(run.journal_file) as journal:
        journal.seek(read.get(name, 0))
        text = journal.read()
    whole = text[: text.rfind(b"\n") + 1]
    read[name] = read.get(name, 0) + len(whole)
    for line in whole.splitlines():
        event = parsed(line)
        if event is not None:  # a line that a kill cut off is none
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
    at_work = ended if "step" in ended else inner(run)
    at = f" at step {at_work['step']}" if "step" in at_work else ""
    console.say(f"{run.folder}: {ended['state']}{at}. {ended.get('reason', '')}".rstrip())
    advice, way = way_on(run)
    console.say(f"Next: {way}" if way else advice)
