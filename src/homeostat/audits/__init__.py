"""Audits are laws tried on one's own model, data and run. Adding one: its file, and its line here."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.audits.ablation import ablation
from homeostat.audits.augmentation import augmentation
from homeostat.audits.base import Audit
from homeostat.audits.batch_invariance import batch_invariance
from homeostat.audits.best_alias import best_alias
from homeostat.audits.confounder import confounder
