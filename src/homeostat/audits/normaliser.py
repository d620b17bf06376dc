"""On whom was the normaliser fitted? On training ids only, and it says so."""

from __future__ import annotations

from homeostat.audits.base import Audit, Case, Finding
from homeostat.data.scaling import digest_ids


def _check(case: Case) -> Finding | None:
    assert case.splits is not None
    right = digest_ids(case.splits.train)
    for scaler in case.scalers:
        if scaler.ids_digest == right:
            continue
        everybody = (*case.splits.train, *case.splits.valid, *case.splits.test)
        whom = "all ids, test included" if scaler.ids_digest == digest_ids(everybody) else "other ids"
        first = scaler.names[0] if scaler.names else "nothing"
        return Finding(
            audit=normaliser.name,
            severity="fatal",
            what=f"The scaler of {first} was fitted on {whom} ({scaler.ids:,}), not on the {len(case.splits.train):,} "
            "training ids.",
            evidence={"ids": scaler.ids, "train": len(case.splits.train)},
            cause="Mean, median or filter were computed before the split.",
            advice="Split first, fit on training ids, and store the scaler with them (Scaler.fit(..., ids=...)).",
        )
    return None


normaliser = Audit(
    name="normaliser",
    law="Scalers are fitted on training ids only.",
    needs=("splits", "scalers"),
    check=_check,
)
