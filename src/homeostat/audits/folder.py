"""The exam of a run folder: its splits, configuration, journal and predictions, and those of its children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homeostat.audits import AUDITS
from homeostat.audits.ablation import Parent
from homeostat.audits.base import Audit, Finding
from homeostat.audits.case import Case
from homeostat.audits.drift import Populations
from homeostat.audits.exam import Exam, examine, together
from homeostat.audits.given import Configuration, Folder, Splitting
from homeostat.audits.provenance import fitted_of
from homeostat.audits.tolerance import solves_of
from homeostat.data import prepared
from homeostat.data.drift import PROFILE
from homeostat.data.splits import Splits
from homeostat.data.store import Store
from homeostat.run import Run, sealed


def examine_run(
    run: Run, parent: Run | None = None, audits: Sequence[Audit] = AUDITS, new: Store | None = None
) -> Exam:
    """Try every law on the files of a run, and repeat what was found at its start, its children's included.

    With a parent, the run is meant to be an ablation of it. New data are compared with those of training.
    """
    case = case_of(run)
    if new is not None:
        case = case.but(Populations(trained=prepared.profiles(run), new=new.meta.get(PROFILE, ())))
    if parent is not None:
        case = case.but(Parent(parent.config().get("config", {})))
    exams = [examine(case, audits)]
    exams += [_noted(member) for _, member in run.family()]
    # Of a fold or member, its splits alone: what its end and its alarms mean is in the exam of its parent.
    inner = [member for name, member in run.family() if name]
    exams += [examine(Case(member.name, _splits(member)), audits) for member in inner]
    return together(exams)


def case_of(run: Run) -> Case:
    """Return the case that a run's folder makes."""
    plain = run.kept(run.config_file).get("config", {})
    configuration = [Configuration(plain)] if plain else []
    return Case(run.name, (Folder(run), *configuration, *_splits(run), *solves_of(plain), *fitted_of(run)))


def _splits(run: Run) -> tuple[Splitting, ...]:
    return (Splitting(splits=Splits.load(run.splits_file)),) if sealed.has(run.splits_file) else ()


def _noted(run: Run) -> Exam:
    """Return what the journal says that the start of the run found."""
    tried = tuple(name for event in run.events("audits") for name in event.get("tried", ()))
    return Exam(findings=tuple(map(_read, run.events("finding"))), tried=tried, not_tried={})


def _read(event: dict[str, Any]) -> Finding:
    names = ("audit", "severity", "what", "cause", "advice", "command", "evidence")
    return Finding(**{name: event[name] for name in names})
