"""One fault in the bytes of a file: a bit that flips, or an end that is missing."""

from __future__ import annotations

import numpy as np


def damaged(whole: bytes, random: np.random.Generator) -> bytes:
    place = int(random.integers(len(whole)))
    if random.random() < 0.3:
        return whole[:place]
    broken = bytearray(whole)
    broken[place] ^= 1 << int(random.integers(8))
    return bytes(broken)
