"""An exam: every law that a case has the values for is tried; the others are listed with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeostat.audits.base import SEVERITIES, Audit, Finding
from homeostat.audits.case import Case
from homeostat.errors import Interrupted, OutOfResources


@dataclass(frozen=True, kw_only=True)
class Exam:
    """The result of an exam."""

    findings: tuple[Finding, ...]
    """The gravest first."""
    tried: tuple[str, ...]
    not_tried: Mapping[str, str]
    """Name of each other law -> the reason."""


def examine(case: Case, audits: Sequence[Audit]) -> Exam:
    """Try every law that the case has the values for."""
    findings, tried, not_tried = [], [], {}
    for audit in audits:
        if (reason := audit.why_not(case)) is not None:
            not_tried[audit.name] = reason
            continue
        tried.append(audit.name)
        try:
            finding = audit.try_on(case)
        except (Interrupted, OutOfResources):
            raise  # they end the run, not the audit
        except Exception as error:  # noqa: BLE001  # the model, loss and data are the user's and may raise anything
            # A law that cannot be tried is a finding, too: a model that fails on one row will fail on one patient.
            finding = _failed(audit, error)
        if finding is not None:
            findings.append(finding)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Exam(findings=tuple(findings), tried=tuple(tried), not_tried=not_tried)


def together(exams: Sequence[Exam]) -> Exam:
    """Several exams as one, in which no sentence stands twice."""
    unique = {(finding.audit, finding.what): finding for exam in exams for finding in exam.findings}
    findings = sorted(unique.values(), key=lambda finding: SEVERITIES.index(finding.severity))
    tried = dict.fromkeys(name for exam in exams for name in exam.tried)
    not_tried: dict[str, str] = {}
    for exam in exams:  # the first to give a reason knows most about the case
        not_tried = {name: why for name, why in exam.not_tried.items() if name not in tried} | not_tried
    return Exam(findings=tuple(findings), tried=tuple(tried), not_tried=not_tried)


def _failed(audit: Audit, error: Exception) -> Finding:
    return Finding(
        audit=audit.name,
        severity="serious",
        what=f"The law could not be tried: {type(error).__name__}: {str(error)[:200]}",
        evidence={},
        cause="The model or the loss raises on a batch that training would give it, such as a single row.",
        advice=f"Try it by hand ({audit.law.rstrip('.')}).",
    )
