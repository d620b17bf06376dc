"""The volumes of a store by their names, their donors, and who is tested by models that never saw whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.splits import Splits, rows_of
from homeostat.data.store import Store
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.methods.protocol import Protocol, Roster, Wish, choose
from homeostat.recipes.cell.config import Config
from homeostat.recipes.cell.learn import Rows


@dataclass(frozen=True)
class Volumes:
    """The volumes of a store by their names."""

    store: Store

    @property
    def ids(self) -> list[str]:
        return [str(volume) for volume in self.store["volume"]]

    @property
    def groups(self) -> list[str]:
        """The donor of each volume; without declared donors each volume is its own."""
        groups = [str(group) for group in self.store["group"]]
        return groups if any(groups) else self.ids

    def rows(self, ids: Sequence[str]) -> Array:
        """The rows of some volumes."""
        return rows_of(self.ids, ids)

    def of(self, splits: Splits) -> Rows:
        """The rows that a network learns from and is judged on."""
        return Rows(store=self.store, train=self.rows(splits.train), valid=self.rows(splits.valid))


def protocol_of(config: Config, volumes: Volumes) -> Protocol:
    """The official split, each donor in turn, or grouped folds, of the volumes with a known label."""
    store, known = volumes.store, np.flatnonzero(np.isfinite(volumes.store["label"]))
    parts = [str(part) for part in store["part"]]
    ids, groups = volumes.ids, volumes.groups
    roster = Roster(
        ids=[ids[row] for row in known],
        groups=[groups[row] for row in known],
        fingerprint=store.fingerprint,
        parts=[parts[row] or None for row in known] if any(parts) else (),
        strata=[str(value) for value in store["label"][known]],
        unit=str(store.meta["group_name"]) or "volume",
        has_groups=any(str(group) for group in store["group"]),
    )
    wish = Wish(
        name=config.protocol,
        seed=config.split_seed,
        held_out=config.held_out,
        folds=config.folds,
        single="official",
    )
    return choose(roster, wish)


def table(volumes: Volumes, ids: Sequence[str], outputs: Array, part: Split) -> Predictions:
    """The predictions of some volumes."""
    store, rows = volumes.store, volumes.rows(ids)
    donors = [volumes.groups[row] for row in rows]
    group = str(store.meta["group_name"])
    return Predictions.build(
        "binary",
        part,
        ids=ids,
        subjects=donors,
        names=(str(store.meta["classes"][1]),),
        targets=np.asarray(store["label"])[rows],
        outputs=outputs,
        groups={group: donors} if group else {},
    )
