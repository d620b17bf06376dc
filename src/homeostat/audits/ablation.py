"""Is the ablation one? It differs from its parent by exactly one key, and that key is named."""

from __future__ import annotations

from homeostat.audits.base import Audit, Case, Finding
from homeostat.config import differences


def _check(case: Case) -> Finding | None:
    assert case.config is not None
    assert case.parent is not None
    changed = differences(dict(case.parent), dict(case.config))
    if len(changed) == 1:
        return None
    if not changed:
        what = "The ablation has the same configuration as its parent: nothing was removed."
    else:
        what = f"The ablation differs from its parent in {len(changed)} settings: {'; '.join(changed[:6])}."
    return Finding(
        audit=ablation.name,
        severity="fatal",
        what=what,
        evidence={"differences": len(changed)},
        cause="A second script with defaults of its own (epochs, views, schedule), or a switch that is not read.",
        advice="Make the ablation from the parent's config.json with one flag changed; a difference that comes along "
        "explains the result as well as the one that was meant.",
    )


ablation = Audit(
    name="ablation",
    law="An ablation differs from its parent by exactly one key.",
    needs=("config", "parent"),
    check=_check,
)
