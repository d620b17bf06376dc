"""A normaliser is fitted on training ids only, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Splitting
from homeostat.data.scaling import digest_ids


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """A scaler, curve or vocabulary that keeps the count and digest of the ids that it was fitted on."""

    absent: ClassVar[str] = "nothing that was fitted to scale the data is at hand"

    name: str
    ids: int
    ids_digest: str


@law("Scalers are fitted on training ids only.")
def normaliser(splitting: Splitting, normalisers: tuple[Normaliser, ...]) -> Finding | None:
    splits = splitting.splits
    # A digest, not the ids: a scaler travels without the names of patients.
    sound = digest_ids(splits.train)
    wrong = next((each for each in normalisers if each.ids_digest != sound), None)
    if wrong is None:
        return None
    everybody = (*splits.train, *splits.valid, *splits.test)
    whom = "all ids, test included" if wrong.ids_digest == digest_ids(everybody) else "other ids"
    return Finding(
        audit=normaliser.name,
        severity="fatal",
        what=f"The scaler of {wrong.name} was fitted on {whom} ({wrong.ids:,}), not on the {len(splits.train):,} "
        "training ids.",
        evidence={"ids": wrong.ids, "train": len(splits.train)},
        cause="Mean, median or filter were computed before the split.",
        advice="Split first, fit on training ids, and store the scaler with them (Scaler.fit(..., ids=...)).",
    )
