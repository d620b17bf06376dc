"""Is class imbalance treated once? Two mechanisms multiply, and a single weight for all classes treats none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from homeostat.audits.base import Audit, Case, Finding

WORDS = ("sampler", "balanced_sampling", "pos_weight", "class_weight", "focal")


def mechanisms_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Read from a plain configuration what is done about imbalance."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from mechanisms_of(value)
        elif any(word in key for word in WORDS) and value not in (
            None,
            False,
            0,
            0.0,
            1.0,
            "",
            "none",
            "off",
            [],
        ):
            yield key


def _check_once(case: Case) -> Finding | None:
    used = list(dict.fromkeys(case.mechanisms))
    if len(used) < 2:
        return None
    return _finding(
        imbalance.name,
        f"Imbalance is treated {len(used)} times: {', '.join(used)}.",
        "Each was added when the one before did not help.",
        "Keep one. A sampler to 50 % with a positive weight of 6 trains on an effective prior of about 86 %.",
        {"mechanisms": len(used)},
    )


def _check_weights(case: Case) -> Finding | None:
    targets, weights = case.targets, case.weights
    assert targets is not None
    rates = np.nanmean(targets, axis=0)
    is_one = len(weights) == 1 or np.ptp(np.asarray(weights)) < 1e-6 * max(map(abs, weights))
    if targets.shape[1] < 2 or not is_one or np.ptp(rates) < 0.1:
        return None
    return _finding(
        class_weights.name,
        f"All {targets.shape[1]} classes have the weight {weights[0]:.3g}, though they are between "
        f"{rates.min():.0%} and "
        f"{rates.max():.0%} positive.",
        "The weight was summed over classes (a masked label matrix becomes flat) instead of per class.",
        "Use one weight per class, negatives by positives, from known labels only, and cap it.",
        {"least": float(rates.min()), "most": float(rates.max())},
    )


def _finding(audit: str, what: str, cause: str, advice: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        audit=audit,
        severity="serious",
        what=what,
        cause=cause,
        advice=advice,
        evidence=dict(evidence),
    )


imbalance = Audit(
    name="imbalance",
    law="One mechanism at most treats class imbalance.",
    needs=("mechanisms",),
    check=_check_once,
)
class_weights = Audit(
    name="class_weights",
    law="Classes of different frequency have weights of their own.",
    needs=("targets", "weights"),
    check=_check_weights,
)
