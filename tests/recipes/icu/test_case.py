"""The recipe passes its own audits."""

import numpy as np

from homeostat.audits import AUDITS
from homeostat.audits.exam import examine
from homeostat.data.scaling import Scaler
from homeostat.recipes.icu import recipe as recipes
from homeostat.recipes.icu.case import case
from homeostat.recipes.icu.recipe import smoke


def test_no_law_is_broken_and_the_important_ones_are_tried(trained, store):
    data = recipes.load(smoke(), trained, store)
    static = Scaler.load(recipes.static_file(trained))
    made = case(smoke(), trained, data.cohort, data.splits, static)
    exam = examine(made, AUDITS)
    assert [f"{found.audit}: {found.what}" for found in exam.findings if found.severity == "fatal"] == []
    assert {"batch_invariance", "padding", "leakage", "duplicates", "repeatable", "learnable"} <= set(
        exam.tried
    )


def test_two_stays_differ_in_content_and_one_is_its_own(stays):
    from homeostat.recipes.icu.case import content

    told = [content(stays, row) for row in range(50)]
    assert len(set(told)) == 50
    assert told[7] == content(stays, np.int64(7))
