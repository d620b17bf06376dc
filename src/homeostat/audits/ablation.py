"""An ablation differs from its parent by exactly one key of the configuration, and that key is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Configuration
from homeostat.config import changed_keys


@dataclass(frozen=True)
class Parent:
    """The plain configuration of the run that this one is an ablation of."""

    absent: ClassVar[str] = "no parent is named: homeostat doctor RUN --parent RUN"

    plain: Mapping[str, Any]


@law("An ablation differs from its parent by exactly one key.")
def ablation(configuration: Configuration, parent: Parent) -> Finding | None:
    changed = changed_keys(dict(parent.plain), dict(configuration.plain))
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
