"""The way in which a sample was recorded does not tell its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from homeostat.audits.base import Finding, law
from homeostat.evaluate.bootstrap import Floats
from homeostat.evaluate.confounder import confounders


@dataclass(frozen=True)
class Recording:
    """How the samples were recorded, and their label."""

    absent: ClassVar[str] = "how the samples were recorded is not known"

    names: Sequence[str]
    values: Floats
    """(samples, names); NaN where it is not known."""
    label: Floats
    """(samples,) 0 or 1; NaN where it is not known."""


@law("How a sample was recorded does not tell its label.")
def confounder(recording: Recording) -> Finding | None:
    telling = confounders(recording.names, recording.values, recording.label)
    if not telling:
        return None
    first = telling[0]
    others = f" So do {', '.join(each.name for each in telling[1:])}." if len(telling) > 1 else ""
    return Finding(
        audit=confounder.name,
        severity="serious",
        what=f"The {first.name} tells the label of {first.samples:,} samples with an AUROC of "
        f"{first.auroc:.2f}.{others}",
        evidence={"auroc": first.auroc, "feature": first.name},
        cause="The classes come from different sites, scanners or protocols, and a network may read these instead of "
        "the disease.",
        advice="Test on a site that holds both classes, or compare with samples that were recorded alike. Resampling "
        "removes the voxel size, but not the sharpness and noise that came with it.",
    )
