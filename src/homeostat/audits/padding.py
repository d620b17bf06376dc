"""Does padding stay silent? More of it must change neither a prediction nor the loss."""

from __future__ import annotations

from homeostat.audits.base import Audit, Case, Finding
from homeostat.audits.batch import at_rest, losses, some_rows

ROWS, MORE = 4, 7
TOLERANCE = 1e-3


def _check(case: Case) -> Finding | None:
    assert case.model is not None
    assert case.batch is not None
    assert case.padded is not None
    rows = some_rows(case, ROWS)
    batch = case.batch(rows)
    longer = case.padded(batch, MORE)
    with at_rest(case.model):
        plain, after = losses(case, batch, len(rows))[0], losses(case, longer, len(rows))[0]
        apart = abs(after - plain) / max(abs(plain), 1e-6)
        what = f"{MORE} more steps of padding change the loss from {plain:.4g} to {after:.4g}."
        if apart <= TOLERANCE and case.predict is not None:
            first, second = case.predict(case.model, batch), case.predict(case.model, longer)
            if first.shape != second.shape:
                return None  # one output per step: the loss is the judge
            apart = float((first - second).abs().max() / first.abs().max().clamp(min=1e-6))
            what = f"{MORE} more steps of padding move predictions by {apart:.2g} of their size."
    if apart <= TOLERANCE:
        return None
    return Finding(
        audit=padding.name,
        severity="fatal",
        what=what,
        evidence={"relative difference": apart, "steps": MORE},
        cause="The padding is counted in the loss or the metrics, pooled over, or read before the data of a reversed "
        "sequence.",
        advice="Pass the mask to every pooling, recurrence and mean; divide by the number of valid entries.",
    )


padding = Audit(
    name="padding",
    law="Appending padding changes nothing.",
    needs=("model", "batch", "count", "loss", "padded"),
    check=_check,
)
