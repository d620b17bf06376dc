"""List alarms, remedies and broken laws of a run and of the runs inside it, each with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeostat.report import tables
from homeostat.report.collect import GRAVITY, Collected
from homeostat.report.words import count, escape, listed, number

Record = Mapping[str, Any]
"""A finding of an audit, or an event of a journal."""


def findings(run: Collected) -> str:
    """List broken laws, alarms and remedies, the gravest first; say what was looked for where there are none."""
    parts = (_laws(run), _alarms(run), _remedies(run))
    body = "".join(parts)
    tried = laws_tried(run)
    watched = any(member.of("epoch") for _, member in run.family())
    if not body and not tried and not watched:
        return ""
    intro = f"Laws tried: {listed(list(tried))}." if tried else ""
    intro += " Guards watched every step." if watched else ""
    return (
        f'<section><h2>What guards and doctor found</h2><p class="quiet">{escape(intro.strip())}</p>'
        f"{body or '<p>Nothing found.</p>'}</section>\n"
    )


def laws_broken(run: Collected) -> list[tuple[str, Record]]:
    """Return (child run or empty, finding) of the doctor and of each start: each sentence once, the gravest first."""
    first: dict[tuple[Any, Any], tuple[str, Record]] = {}
    starts = [(where, finding) for where, member in run.family() for finding in member.of("finding")]
    for where, finding in [*(("", finding) for finding in run.findings), *starts]:
        # Every fold repeats what its start found: once is enough for a reader.
        first.setdefault((finding.get("audit"), finding.get("what")), (where, finding))
    return sorted(first.values(), key=lambda one: GRAVITY.get(str(one[1].get("severity")), len(GRAVITY)))


def laws_tried(run: Collected) -> tuple[str, ...]:
    """Return the names of the laws that the doctor, or the start of a fit, has tried."""
    started = [name for _, event in _events(run, "audits") for name in event.get("tried", ())]
    return tuple(dict.fromkeys(map(str, (*run.tried, *started))))


def _events(run: Collected, kind: str) -> list[tuple[str, Record]]:
    return [(where, event) for where, member in run.family() for event in member.of(kind)]


def _laws(run: Collected) -> str:
    rows = [
        (
            escape(finding.get("severity", "")),
            escape(finding.get("audit", "")),
            _where(where) + escape(finding.get("what", "")) + _evidence(finding),
            escape(finding.get("cause", "")),
            escape(finding.get("advice", "")) + _command(finding),
        )
        for where, finding in laws_broken(run)
    ]
    header = ("Severity", "Law", "What", "Probable cause", "What to do")
    if rows:
        return f"<h3>Broken laws</h3>{tables.table(header, rows)}"
    return "<h3>Broken laws</h3><p>Nothing found.</p>" if laws_tried(run) else ""


def _alarms(run: Collected) -> str:
    rows = [
        (
            count(int(alarm.get("step", 0))),
            escape(alarm.get("level", "")),
            escape(alarm.get("guard", "")),
            _where(where) + escape(alarm.get("sentence", "")),
            escape(alarm.get("remedy") or ""),
        )
        for where, alarm in _events(run, "alarm")
    ]
    header = ("Step", "Level", "Guard", "What it saw, and what to do", "Remedy")
    return f"<h3>Alarms</h3>{tables.table(header, rows, numeric=(0,))}" if rows else ""


def _remedies(run: Collected) -> str:
    rows = [
        (
            count(int(remedy.get("alarm_step", remedy.get("step", 0)))),
            escape(remedy.get("guard", "")),
            _where(where) + escape(remedy.get("sentence", "")),
        )
        for where, remedy in _events(run, "remedy")
    ]
    header = ("Step", "Guard", "What was done about it")
    return f"<h3>Remedies</h3>{tables.table(header, rows, numeric=(0,))}" if rows else ""


def _where(name: str) -> str:
    return f"<em>{escape(name)}</em>: " if name else ""


def _evidence(finding: Record) -> str:
    evidence = finding.get("evidence") or {}
    words = [
        f"{name} {number(value) if isinstance(value, float) else value}" for name, value in evidence.items()
    ]
    return f'<br><span class="quiet">{escape(", ".join(words))}</span>' if words else ""


def _command(finding: Record) -> str:
    return f"<br><code>{escape(finding['command'])}</code>" if finding.get("command") else ""
