"""What a stay consists of, for those who look for the same one under two names."""

import numpy as np

from homeostat.recipes.icu.case import content


def test_two_stays_differ_in_content_and_one_is_its_own(stays):
    told = [content(stays, row) for row in range(50)]
    assert len(set(told)) == 50
    assert told[7] == content(stays, np.int64(7))
