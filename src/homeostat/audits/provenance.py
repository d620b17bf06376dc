"""On which split was each threshold, temperature and second-level model fitted? Never on the one that is reported."""

from __future__ import annotations

import re
from collections.abc import Iterator

from homeostat.audits.base import Audit, Case, Finding, Fitted
from homeostat.files import read_json
from homeostat.run import Run

SOUND = ("train", "valid", "out-of-fold", "given")
# A stacker that is fitted on its members' own training outputs trusts whoever remembers best.
SECOND_LEVEL = re.compile(r"\b(stack(er|ing)?|meta|ensemble)\b", re.IGNORECASE)


def fitted_of(run: Run) -> Iterator[Fitted]:
    """Read what metrics.json says about thresholds and calibrators."""
    if not run.metrics_file.exists():
        return
    metrics = read_json(run.metrics_file)
    for kind in ("thresholds", "calibrators"):
        for name, told in metrics.get(kind, {}).items():
            yield Fitted(name=f"{kind.removesuffix('s')} of {name}", fitted_on=str(told.get("fitted_on", "")))


def _check(case: Case) -> Finding | None:
    for each in case.fitted:
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


def _finding(each: Fitted, severity: str, what: str) -> Finding:
    return Finding(
        audit=provenance.name,
        severity="fatal" if severity == "fatal" else "serious",
        what=what,
        evidence={"fitted on": each.fitted_on or "unknown"},
        cause="It was fitted where it was needed, on the data that are scored, or on outputs that remember "
        "their labels.",
        advice="Fit thresholds and temperatures on validation, second-level models on out-of-fold predictions, "
        "and store "
        "`fitted_on` with the number.",
    )


provenance = Audit(
    name="provenance",
    law="Thresholds, temperatures and second-level models name the split that they were fitted on, and it is not test.",
    needs=("fitted",),
    check=_check,
)
