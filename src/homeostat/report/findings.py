"""What did guards, remedies and audits say, in this run and in those inside it, and what is to be done about it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.report import tables
from homeostat.report.collect import GRAVITY, Collected
from homeostat.report.words import count, escape, listed, number

Told = Mapping[str, Any]


def findings(run: Collected) -> str:
    """Alarms, what was done about them, and broken laws, the gravest first; what was looked for where nothing is."""
    parts = (_laws(run), _alarms(run), _remedies(run))
    body = "".join(parts)
    tried = laws_tried(run)
    watched = any(each.of("epoch") for _, each in family(run))
    if not body and not tried and not watched:
        return ""
    told = f"Laws tried: {listed(list(tried))}." if tried else ""
    told += " Guards watched every step." if watched else ""
    return (
        f'<section><h2>What guards and doctor found</h2><p class="quiet">{escape(told.strip())}</p>'
        f"{body or '<p>Nothing found.</p>'}</section>\n"
    )


def laws_broken(run: Collected) -> list[tuple[str, Told]]:
    """(child run or empty, finding), each sentence once, the gravest first: from the doctor and from each start."""
    found: dict[tuple[Any, Any], tuple[str, Told]] = {}
    for told in run.findings:
        found.setdefault((told.get("audit"), told.get("what")), ("", told))
    for where, each in family(run):
        for told in each.of("finding"):
            found.setdefault((told.get("audit"), told.get("what")), (where, told))
    return sorted(found.values(), key=lambda one: GRAVITY.get(str(one[1].get("severity")), len(GRAVITY)))


def laws_tried(run: Collected) -> tuple[str, ...]:
    """Names of the laws that the doctor, or the start of a fit, has tried."""
    started = [
        name for _, each in family(run) for event in each.of("audits") for name in event.get("tried", ())
    ]
    return tuple(dict.fromkeys(map(str, (*run.tried, *started))))


def family(run: Collected, name: str = "") -> Iterator[tuple[str, Collected]]:
    """The run, then every run inside it, each with its name from here."""
    yield name, run
    for child in run.children:
        yield from family(child, f"{name}/{child.name}" if name else child.name)


def _events(run: Collected, kind: str) -> list[tuple[str, Told]]:
    return [(where, event) for where, each in family(run) for event in each.of(kind)]


def _laws(run: Collected) -> str:
    rows = [
        (
            escape(told.get("severity", "")),
            escape(told.get("audit", "")),
            _where(where) + escape(told.get("what", "")) + _evidence(told),
            escape(told.get("cause", "")),
            escape(told.get("advice", "")) + _command(told),
        )
        for where, told in laws_broken(run)
    ]
    header = ("Severity", "Law", "What", "Probable cause", "What to do")
    if rows:
        return f"<h3>Broken laws</h3>{tables.table(header, rows)}"
    return "<h3>Broken laws</h3><p>Nothing found.</p>" if laws_tried(run) else ""


def _alarms(run: Collected) -> str:
    rows = [
        (
            count(int(told.get("step", 0))),
            escape(told.get("level", "")),
            escape(told.get("guard", "")),
            _where(where) + escape(told.get("sentence", "")),
            escape(told.get("remedy") or ""),
        )
        for where, told in _events(run, "alarm")
    ]
    header = ("Step", "Level", "Guard", "What it saw, and what to do", "Remedy")
    return f"<h3>Alarms</h3>{tables.table(header, rows, numeric=(0,))}" if rows else ""


def _remedies(run: Collected) -> str:
    rows = [
        (
            count(int(told.get("alarm_step", told.get("step", 0)))),
            escape(told.get("guard", "")),
            _where(where) + escape(told.get("sentence", "")),
        )
        for where, told in _events(run, "remedy")
    ]
    header = ("Step", "Guard", "What was done about it")
    return f"<h3>Remedies</h3>{tables.table(header, rows, numeric=(0,))}" if rows else ""


def _where(name: str) -> str:
    return f"<em>{escape(name)}</em>: " if name else ""


def _evidence(told: Told) -> str:
    evidence = told.get("evidence") or {}
    listed_ = [
        f"{name} {number(value) if isinstance(value, float) else value}" for name, value in evidence.items()
    ]
    return f'<br><span class="quiet">{escape(", ".join(listed_))}</span>' if listed_ else ""


def _command(told: Told) -> str:
    return f"<br><code>{escape(told['command'])}</code>" if told.get("command") else ""
