"""Which laws hold for this case? Every audit that applies is tried; what cannot be tried is told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeostat.audits.base import SEVERITIES, Audit, Case, Finding
from homeostat.errors import Interrupted, OutOfResources


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What came out."""

    findings: tuple[Finding, ...]
    """The gravest first."""
    tried: tuple[str, ...]
    not_tried: Mapping[str, str]
    """Name of each other law -> what it would need."""


def examine(case: Case, audits: Sequence[Audit]) -> Exam:
    """Try every law that the case gives the means for."""
    findings, tried, not_tried = [], [], {}
    for audit in audits:
        if (wanting := audit.wants(case)) is not None:
            not_tried[audit.name] = wanting
            continue
        tried.append(audit.name)
        try:
            found = audit.check(case)
        except (Interrupted, OutOfResources):
            raise  # they end the run, not the audit
        except Exception as error:  # noqa: BLE001  # the model, loss and data are the user's and may raise anything
            found = _failed(audit, error)
        if found is not None:
            findings.append(found)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Exam(findings=tuple(findings), tried=tuple(tried), not_tried=not_tried)


def together(exams: Sequence[Exam]) -> Exam:
    """Several exams as one; the same sentence is told once."""
    unique = {(finding.audit, finding.what): finding for exam in exams for finding in exam.findings}
    findings = sorted(unique.values(), key=lambda finding: SEVERITIES.index(finding.severity))
    tried = dict.fromkeys(name for exam in exams for name in exam.tried)
    untried: dict[str, str] = {}
    for exam in exams:  # the first to say why knows most about the case
        untried = {name: why for name, why in exam.not_tried.items() if name not in tried} | untried
    return Exam(findings=tuple(findings), tried=tuple(tried), not_tried=untried)


def _failed(audit: Audit, error: Exception) -> Finding:
    return Finding(
        audit=audit.name,
        severity="serious",
        what=f"The law could not be tried: {type(error).__name__}: {str(error)[:200]}",
        evidence={},
        cause="The model or the loss raises on a batch that training would give it, such as a single row.",
        advice=f"Try it by hand ({audit.law.rstrip('.')}).",
    )
