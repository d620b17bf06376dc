"""Audits are laws tried on one's own model, data and run. Adding one: its file, and its line here."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.audits.ablation import ablation
from homeostat.audits.augmentation import augmentation
from homeostat.audits.base import Audit
from homeostat.audits.batch_invariance import batch_invariance
from homeostat.audits.best_alias import best_alias
from homeostat.audits.confounder import confounder
from homeostat.audits.drift import drift
from homeostat.audits.ending import alarms, ending
from homeostat.audits.frozen import frozen
from homeostat.audits.imbalance import imbalance
from homeostat.audits.inputs import input_size, mixed_units, used_inputs
from homeostat.audits.leakage import duplicates, leakage
from homeostat.audits.learnable import learnable
from homeostat.audits.masking import masking
from homeostat.audits.normaliser import normaliser
from homeostat.audits.padding import padding
from homeostat.audits.provenance import provenance
from homeostat.audits.reach import reach
from homeostat.audits.repeatable import repeatable
from homeostat.audits.selection import selection
from homeostat.audits.start_loss import start_loss
from homeostat.audits.support import cases, one_class, support
from homeostat.audits.test_peek import test_peek
from homeostat.audits.tolerance import tolerance
from homeostat.audits.trivial import trivial
from homeostat.audits.zero_terms import zero_terms
from homeostat.errors import ConfigError
from homeostat.plugin.load import load

# What ended the run first, then who learnt from whom, then the model: a leak explains more than a large input does.
AUDITS: tuple[Audit, ...] = (
    ending,
    alarms,
    leakage,
    duplicates,
    confounder,
    normaliser,
    provenance,
    selection,
    test_peek,
    repeatable,
    batch_invariance,
    padding,
    masking,
    frozen,
    reach,
    learnable,
    start_loss,
    zero_terms,
    ablation,
    tolerance,
    input_size,
    mixed_units,
    used_inputs,
    drift,
    augmentation,
    one_class,
    cases,
    support,
    trivial,
    best_alias,
    imbalance,
)


def own(addresses: Sequence[str]) -> list[Audit]:
    """Return the audits that are named by their address, such as ./my_audit.py:audit."""
    audits: list[Audit] = []
    for address in addresses:
        audit: Audit = load(
            address, "an audit: @law(...) above a function (from homeostat import law)", _is_audit
        )
        taken = {each.name for each in (*AUDITS, *audits)}
        if audit.name in taken:
            raise ConfigError(
                f"The audit {address} is called {audit.name!r}, as another one. Give it a name of its own."
            )
        audits.append(audit)
    return audits


def _is_audit(value: object) -> bool:
    return isinstance(value, Audit)
