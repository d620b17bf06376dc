"""Is the same picture in two splits, rescaled or recompressed? Its difference hash is nearly the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from homeostat.audits.base import Audit, Case, Finding

# Bits of 64 that may differ (Krawetz 2013 takes fewer than 10 for "a variation"; medical films of one projection look
# alike, so this is stricter).
BITS = 3
IMAGES = 2000


def difference_hash(image: NDArray[Any], side: int = 8) -> NDArray[np.bool_]:
    """Say for each of 64 cells whether it is darker than its right neighbour: blind to size, contrast, compression."""
    grey = np.asarray(image, np.float64)
    # The same points of the picture whatever its size: eight by eight in each cell.
    rows, columns = (
        ((np.arange(8 * cells) + 0.5) / (8 * cells) * length).astype(int)
        for cells, length in zip((side, side + 1), grey.shape, strict=True)
    )
    cells = grey[np.ix_(rows, columns)].reshape(side, 8, side + 1, 8).mean(axis=(1, 3))
    return np.asarray(cells[:, :-1] < cells[:, 1:]).reshape(-1)


def _check(case: Case) -> Finding | None:
    assert case.splits is not None
    assert case.picture is not None
    train, test = case.splits.train[:IMAGES], (case.splits.test or case.splits.valid)[:IMAGES]
    if not train or not test:
        return None
    known = np.array([difference_hash(case.picture(identity)) for identity in train])
    pairs = []
    for identity in test:
        apart = (known != difference_hash(case.picture(identity))).sum(axis=1)
        if apart.min() <= BITS:
            pairs.append((train[int(apart.argmin())], identity))
    if not pairs:
        return None
    first, second = pairs[0]
    return Finding(
        audit=near_duplicates.name,
        severity="serious",
        what=f"{len(pairs):,} of {len(test):,} test images look like a training image, the first: {second} like "
        f"{first}.",
        evidence={"pairs": len(pairs), "of": len(test)},
        cause="Rescaled or re-exported copies, several views of one visit, or uniform images.",
        advice="Look at the pairs; keep all images of a visit in one split, and drop copies.",
    )


near_duplicates = Audit(
    name="near_duplicates",
    law="No test image is a copy of a training image, rescaled or recompressed.",
    needs=("splits", "picture"),
    check=_check,
    is_cheap=False,
)
