"""Class imbalance is treated once: two mechanisms multiply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Configuration

WORDS = ("sampler", "balance", "pos_weight", "class_weight", "focal")
OFF: tuple[object, ...] = (None, False, 0, 0.0, 1.0, "", "none", "off", [])


def mechanisms_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Read from a plain configuration what is done about imbalance."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from mechanisms_of(value)
        # A weight of 1.0 does nothing, but a switch that is True equals 1.0 too.
        elif any(word in key for word in WORDS) and (value is True or value not in OFF):
            yield key


@law("One mechanism at most treats class imbalance.")
def imbalance(configuration: Configuration) -> Finding | None:
    used = list(dict.fromkeys(mechanisms_of(configuration.plain)))
    if len(used) < 2:
        return None
    return Finding(
        audit=imbalance.name,
        severity="serious",
        what=f"Imbalance is treated {len(used)} times: {', '.join(used)}.",
        evidence={"mechanisms": len(used)},
        cause="Each was added when the one before did not help.",
        advice="Keep one. A sampler to 50 % with a positive weight of 6 trains on an effective prior of about 86 %.",
    )
