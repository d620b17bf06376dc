"""Laws of groups on their own: each row is that of the group alone, and one class alone has no ranking."""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from homeostat.evaluate import each, possible
from homeostat.evaluate.predictions import Predictions


def answers(outputs):
    random = np.random.default_rng(0)
    truth = np.r_[random.integers(0, 2, 80), np.zeros(20)]
    donors = np.repeat(["a", "b", "c"], [40, 40, 20])
    return Predictions.build(
        "binary", "test", ids=range(100), targets=truth, outputs=outputs, groups={"donor": donors}
    )


def test_a_group_is_scored_as_if_it_were_alone():
    main = answers(np.random.default_rng(1).random(100))
    donors = each.by_group(main)["donor"]
    table = each.table(donors, 0.4)
    for name in "ab":
        alone, row = donors[name], table["rows"][name]
        assert row["auroc"] == pytest.approx(roc_auc_score(alone.truth, alone.output))
        assert row["mcc"] == pytest.approx(matthews_corrcoef(alone.truth, alone.output >= 0.4))
    assert table["rows"]["c"]["auroc"] is None
    assert table["spread"]["auroc"]["n"] == 2
    values = [table["rows"][name]["auroc"] for name in "ab"]
    assert table["spread"]["auroc"]["sd"] == pytest.approx(np.std(values, ddof=1))


def test_the_best_model_reaches_all_that_is_possible():
    main = answers(np.random.default_rng(1).random(100))
    rows = possible.beside(main, main)
    assert set(rows) == {"everybody", "donor a", "donor b", "mean of groups", "sd of groups"}
    assert all(row["ratio"] == 1 for row in rows.values() if "ratio" in row)
    assert len(list(possible.sentences(rows))) == len(rows)
