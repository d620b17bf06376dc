"""Is the best state a copy? A reference to live parameters is whatever training ends with."""

from __future__ import annotations

from homeostat.audits.base import Audit, Case, Finding


def _check(case: Case) -> Finding | None:
    assert case.model is not None
    assert case.best is not None
    live = {
        value.data_ptr(): name
        for name, value in case.model.state_dict(keep_vars=True).items()
        if value.numel()
    }
    shared = [name for name, value in case.best.items() if value.numel() and value.data_ptr() in live]
    if not shared:
        return None
    return Finding(
        audit=best_alias.name,
        severity="fatal",
        what=f"{len(shared)} of {len(case.best)} tensors of the best state are the live parameters, the first "
        f"is {shared[0]}.",
        evidence={"shared": len(shared)},
        cause="state_dict().copy() copies the dictionary, not the tensors.",
        advice="Clone every tensor: {name: value.detach().clone() for name, value in state_dict().items()}.",
    )


best_alias = Audit(
    name="best_alias",
    law="The best state does not share memory with live parameters.",
    needs=("model", "best"),
    check=_check,
)
