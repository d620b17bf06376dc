"""Which cells are learnt from and which are predicted? One split, or one per group of cells left out."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.data.splits import Splits, by_subject, leave_one_out
from homeostat.errors import DataError
from homeostat.recipes.battery.config import Config
from homeostat.recipes.battery.inputs import Cells

# With more groups a fit per group costs more than it tells.
MOST_FOLDS = 12


def folds_of(config: Config, cells: Cells, fingerprint: str, *, groups: Sequence[str]) -> dict[str, Splits]:
    """Splits by the name of their fold. With leave-one-out no cell is spared for validation."""
    count = len(set(groups))
    if count < 2:
        raise DataError(
            f"{count} group of cells: none can be left out and learnt from another. Name cells of other groups."
        )
    if config.split == "leave-one-out" or (config.split == "auto" and count <= MOST_FOLDS):
        return leave_one_out(cells.cells, groups, valid=0, fingerprint=fingerprint, unit="group of cells")
    if count < 3:
        raise DataError("A split by cell needs 3 groups of cells at least. Use --split leave-one-out.")
    split = by_subject(cells.cells, groups, seed=config.split_seed, fingerprint=fingerprint, unit="cell")
    return {"split": split}
