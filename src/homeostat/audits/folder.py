"""What can be audited of a run folder alone? Its splits, configuration, journal, predictions, and its children's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from homeostat.audits import AUDITS
from homeostat.audits.base import Audit, Case, Finding
from homeostat.audits.exam import Exam, examine, together
from homeostat.audits.imbalance import mechanisms_of
from homeostat.audits.provenance import fitted_of
from homeostat.audits.tolerance import solves_of
from homeostat.data.splits import Splits
from homeostat.run import Run


def examine_run(run: Run, parent: Run | None = None, audits: Sequence[Audit] = AUDITS) -> Exam:
    """Try every law on the files of a run, and repeat what was found at its start, its children's included.

    With a parent, the run is meant to be an ablation of it.
    """
    told = None if parent is None else parent.config().get("config", {})
    exams = [examine(replace(case_of(run), parent=told), audits)]
    exams += [_noted(each) for each in _family(run)]
    exams += [examine(_child_case(each), audits) for each in _family(run) if each is not run]
    return together(exams)


def case_of(run: Run) -> Case:
    """The case that a run's folder makes."""
    config = run.config().get("config", {}) if run.config_file.exists() else {}
    return Case(
        name=run.name,
        run=run,
        config=config,
        splits=Splits.load(run.splits_file) if run.splits_file.exists() else None,
        mechanisms=tuple(mechanisms_of(config)),
        solves=tuple(solves_of(config)),
        fitted=tuple(fitted_of(run)),
    )


def _child_case(run: Run) -> Case:
    """A fold or member: its splits alone; what its end and its alarms mean is told by its parent."""
    return Case(name=run.name, splits=Splits.load(run.splits_file) if run.splits_file.exists() else None)


def _noted(run: Run) -> Exam:
    """What the journal says that the start of the run found."""
    tried = tuple(name for event in run.events("audits") for name in event.get("tried", ()))
    return Exam(findings=tuple(map(_read, run.events("finding"))), tried=tried, not_tried={})


def _read(event: dict[str, Any]) -> Finding:
    told = {
        key: event[key] for key in ("audit", "severity", "what", "cause", "advice", "command", "evidence")
    }
    return Finding(**told)


def _family(run: Run) -> Iterator[Run]:
    yield run
    for child in run.children():
        yield from _family(child)
