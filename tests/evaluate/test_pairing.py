"""Runs are compared on the same rows or not at all, and never when one had seen the other's test."""

import json
from dataclasses import replace

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.evaluate import pairing


def splits(path, train, valid=()):
    path.write_text(
        json.dumps(
            {"train": list(train), "valid": list(valid), "test": [], "by": "subject", "fingerprint": ""}
        )
    )
    return path


def test_files_are_brought_into_the_order_of_the_first(ward):
    p = ward(50)
    shuffled = p.take(np.random.default_rng(0).permutation(50))
    (a,), (b,) = pairing.aligned([p], [shuffled])
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.output, b.output)


def test_other_rows_are_refused(ward):
    p = ward(50)
    with pytest.raises(DataError, match=r"predicted different rows \(49 and 50, 1 of the latter absent"):
        pairing.aligned([p], [p.take(np.arange(49))])


def test_another_truth_is_refused(ward):
    p = ward(50)
    with pytest.raises(DataError, match="disagree about the truth"):
        pairing.aligned([p], [replace(p, targets=1 - p.targets)])


def test_another_split_is_refused(ward):
    with pytest.raises(DataError, match="has split valid, model has split test"):
        pairing.aligned([ward(50)], [ward(50, split="valid")])


@pytest.mark.parametrize("part", ["train", "valid"])
def test_a_test_patient_that_the_other_run_learnt_from_is_refused(ward, tmp_path, part):
    p = ward(50, model="xgboost")
    known = pairing.seen(splits(tmp_path / "splits.json", **{"train": ["900"], part: ["7", "8"]}))
    with pytest.raises(
        DataError, match=r"2 of 50 test ids of xgboost \(first: 7\) were training or validation ids of ode"
    ):
        pairing.refuse_overlap(p, known, "ode")


def test_subjects_count_as_well_as_rows(cells, tmp_path):
    known = pairing.seen(splits(tmp_path / "splits.json", ["cell 01"]))
    with pytest.raises(DataError, match="40 of 200 test ids"):
        pairing.refuse_overlap(cells(5), known, "the other run")


def test_disjoint_runs_pass(ward, tmp_path):
    pairing.refuse_overlap(
        ward(50), pairing.seen(splits(tmp_path / "splits.json", ["50", "51"])), "the other run"
    )


def test_without_splits_nobody_knows(tmp_path):
    with pytest.raises(DataError, match="nobody knows what the run was trained on"):
        pairing.seen(tmp_path / "splits.json")
    (tmp_path / "splits.json").write_text("{}")
    with pytest.raises(DataError, match="is not a splits file"):
        pairing.seen(tmp_path / "splits.json")
