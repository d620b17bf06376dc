"""The model answers the same question twice in the same way: in eval mode nothing is drawn."""

from __future__ import annotations

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Trial


@law("In eval mode the same rows give the same answer.")
def repeatable(trial: Trial) -> Finding | None:
    rows = trial.rows(6)
    with trial.at_rest():
        first, second = (trial.loss_of(trial.batch(rows), len(rows))[0] for _ in range(2))
    apart = abs(first - second)
    # Equal up to the order in which threads add; a NaN is for other laws.
    if apart <= 1e-6 * max(abs(first), 1e-6) or first != first:
        return None
    return Finding(
        audit=repeatable.name,
        severity="fatal",
        what=f"Asked twice in eval mode, the model's loss on the same rows is {first:.6g} and then {second:.6g}.",
        evidence={"first": first, "second": second},
        cause="Dropout or sampling that does not ask for `self.training`, a sub-model that is kept out of eval(), or a "
        "`batch` that draws.",
        advice="Use functional.dropout(..., training=self.training), take the mean instead of a sample when "
        "evaluating, and register sub-models as attributes of the module.",
    )
