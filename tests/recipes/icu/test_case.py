"""The content of a stay, by which a copy under another name is recognised."""

import numpy as np

from homeostat.recipes.icu.case import content


def test_two_stays_differ_in_content_and_one_is_its_own(stays):
    contents = [content(stays, row) for row in range(50)]
    assert len(set(contents)) == 50
    assert contents[7] == content(stays, np.int64(7))
