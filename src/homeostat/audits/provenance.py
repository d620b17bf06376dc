"""Every threshold, temperature and second-level model names the split that it was fitted on, never the reported one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from homeostat.audits.base import Finding, Severity, law
from homeostat.run import Run, sealed

SOUND = ("train", "valid", "out-of-fold", "given")
# A stacker that is fitted on its members' own training outputs trusts whoever remembers best.
# Whole words: "stack" in "stacks" of photons was once taken for a stacker (log/guards.md).
SECOND_LEVEL = re.compile(r"\b(stack(er|ing)?|meta|ensemble)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A number that was fitted on some split: a threshold, a temperature, a median, a stacker's inputs."""

    absent: ClassVar[str] = "no fitted threshold, temperature or second level is at hand"

    name: str
    fitted_on: str
    """A split, "given", or empty when nobody knows."""


def fitted_of(run: Run) -> Iterator[Fitted]:
    """Read what metrics.json says about thresholds and calibrators."""
    if not sealed.has(run.metrics_file):
        return
    metrics = run.kept(run.metrics_file)
    for kind in ("thresholds", "calibrators"):
        for name, entry in metrics.get(kind, {}).items():
            yield Fitted(
                name=f"{kind.removesuffix('s')} of {name}", fitted_on=str(entry.get("fitted_on", ""))
            )


@law(
    "Thresholds, temperatures and second-level models name the split that they were fitted on, and it is not test."
)
def provenance(fitted: tuple[Fitted, ...]) -> Finding | None:
    for each in fitted:
        if not each.fitted_on:
            return _finding(each, "serious", f"Nobody knows on which split the {each.name} was fitted.")
        if each.fitted_on not in SOUND:
            return _finding(each, "fatal", f"The {each.name} was fitted on {each.fitted_on}.")
        if each.fitted_on == "train" and SECOND_LEVEL.search(each.name):
            return _finding(
                each,
                "fatal",
                f"The {each.name} was fitted on train, on which its members were trained themselves.",
            )
    return None


def _finding(each: Fitted, severity: Severity, what: str) -> Finding:
    return Finding(
        audit=provenance.name,
        severity=severity,
        what=what,
        evidence={"fitted on": each.fitted_on or "unknown"},
        cause="It was fitted where it was needed, on the data that are scored, or on outputs that remember "
        "their labels.",
        advice="Fit thresholds and temperatures on validation, second-level models on out-of-fold predictions, "
        "and store `fitted_on` with the number.",
    )
