"""Laws of splits: disjoint by subject, addressed by (seed, subject), balanced, and kept in a file."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disk import files_at_most
from homeostat.data.splits import Splits, by_subject, folds, leave_one_out, lot, predefined
from homeostat.errors import DataError, OutOfResources


def cohort(subjects: int, seed: int) -> tuple[list[str], list[str], list[int]]:
    """Subjects with one to four stays, a fifth of them positive."""
    draw = np.random.default_rng(seed)
    owners = np.repeat(np.arange(subjects), draw.integers(1, 5, subjects))
    label = draw.random(subjects) < 0.2
    return (
        [f"stay{i}" for i in range(len(owners))],
        [f"s{i}" for i in owners],
        [int(label[i]) for i in owners],
    )


@settings(max_examples=25)
@given(st.integers(5, 60), st.integers(0, 2**32))
def test_every_id_has_one_part_and_no_subject_has_two(subjects, seed):
    ids, owners, labels = cohort(subjects, seed)
    splits = by_subject(ids, owners, seed=seed, strata=labels, fingerprint="f")
    assert Counter([*splits.train, *splits.valid, *splits.test]) == Counter(ids)
    owner = dict(zip(ids, owners, strict=True))
    parts = [{owner[i] for i in part} for part in (splits.train, splits.valid, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_parts_have_the_asked_size_and_share_of_positives():
    ids, owners, labels = cohort(2000, 0)
    splits = by_subject(ids, owners, seed=1, strata=labels, fingerprint="f", fractions=(0.6, 0.2, 0.2))
    label = dict(zip(ids, labels, strict=True))
    for part, share in ((splits.train, 0.6), (splits.valid, 0.2), (splits.test, 0.2)):
        assert len(part) / len(ids) == pytest.approx(share, abs=0.005)
        assert np.mean([label[i] for i in part]) == pytest.approx(np.mean(labels), abs=0.005)


def test_subjects_with_many_stays_are_not_all_in_one_part():
    ids, owners, _ = cohort(2000, 0)
    splits = by_subject(ids, owners, seed=1, fingerprint="f")
    stays = Counter(owners)
    owner = dict(zip(ids, owners, strict=True))
    share = np.mean([stays[owner[i]] == 4 for i in splits.train])
    assert share == pytest.approx(np.mean([stays[name] == 4 for name in owners]), abs=0.01)


def test_a_split_does_not_depend_on_the_order_of_the_rows():
    ids, owners, labels = cohort(200, 0)
    splits = by_subject(ids, owners, seed=1, strata=labels, fingerprint="f")
    turned = by_subject(ids[::-1], owners[::-1], seed=1, strata=labels[::-1], fingerprint="f")
    assert {part: set(splits.part(part)) for part in ("train", "valid", "test")} == {
        part: set(turned.part(part)) for part in ("train", "valid", "test")
    }
    assert splits != by_subject(ids, owners, seed=2, strata=labels, fingerprint="f")


def test_a_lot_is_the_same_on_every_machine():
    assert lot(7, "split", "10027") == 13400668206671282197
    assert lot(7, "a", "b") != lot(7, "ab") != lot(8, "ab")


def test_each_id_is_tested_in_one_fold_and_validated_in_another():
    ids, owners, labels = cohort(300, 3)
    splits = folds(ids, owners, count=5, seed=0, strata=labels, fingerprint="f")
    assert Counter(i for fold in splits for i in fold.test) == Counter(ids)
    assert Counter(i for fold in splits for i in fold.valid) == Counter(ids)
    label = dict(zip(ids, labels, strict=True))
    positives = [sum(label[i] for i in fold.test) for fold in splits]
    assert max(positives) - min(positives) <= 4  # One subject's stays at most.


@pytest.mark.parametrize("count", [2, 301])
def test_folds_need_enough_subjects(count):
    ids, owners, _ = cohort(300, 3)
    with pytest.raises(DataError, match=f"{count} folds of 300 cells: ask for at least 3 and at most 300"):
        folds(ids, owners, count=count, seed=0, fingerprint="f", unit="cell")


def test_leave_one_out_tests_each_group_alone():
    ids, groups = list("abcdefgh"), list("xxyyzzww")
    splits = leave_one_out(ids, groups, seed=0, fingerprint="f", unit="cell")
    assert sorted(splits) == ["w", "x", "y", "z"]
    for group, split in splits.items():
        assert {groups[ids.index(i)] for i in split.test} == {group}
        assert len(split.valid) == 2
        assert len(split.train) == 4
        assert split.by == "cell"
    assert list(leave_one_out(ids, groups, held_out=["y"], fingerprint="f")) == ["y"]
    with pytest.raises(DataError, match=r"no cell B5 in the data\. There are: w, x, y, z"):
        leave_one_out(ids, groups, held_out=["B5"], fingerprint="f", unit="cell")
    with pytest.raises(DataError, match="needs 5 groups; there are 4"):
        leave_one_out(ids, groups, valid=3, fingerprint="f")


def test_a_subject_in_two_parts_is_named_with_the_cure():
    with pytest.raises(DataError) as caught:
        predefined(["1", "2"], ["10027", "10027"], ["train", "test"], fingerprint="f")
    assert str(caught.value) == (
        "Subject 10027 is in both train and test. Split by subject (--split-by subject), not by record."
    )


def test_predefined_parts_are_kept_and_others_stay_out():
    splits = predefined(list("abcd"), list("abcd"), ["train", None, "test", "train"], fingerprint="f")
    assert (splits.train, splits.valid, splits.test) == (("a", "d"), (), ("c",))
    with pytest.raises(DataError, match=r"train, valid, test or nothing; found \['validation'\]"):
        predefined(["a"], ["a"], ["validation"], fingerprint="f")


def test_an_id_given_twice_is_refused():
    with pytest.raises(DataError, match="Id a occurs 2 times"):
        by_subject(["a", "a", "b"], ["a", "a", "b"], seed=0, fingerprint="f")


def test_fractions_must_sum_to_one():
    with pytest.raises(DataError, match="must be positive and sum to 1"):
        by_subject(["a"], ["a"], seed=0, fingerprint="f", fractions=(0.5, 0.1, 0.1))


def test_a_file_gives_back_the_splits(tmp_path):
    splits = Splits(train=("a", "b"), valid=("c",), test=(), by="subject", fingerprint="f")
    splits.save(tmp_path / "splits.json")
    assert Splits.load(tmp_path / "splits.json") == splits
    assert json.loads((tmp_path / "splits.json").read_text())["train"] == ["a", "b"]
    with files_at_most(10), pytest.raises(OutOfResources, match=r"No room to write .*splits\.json"):
        splits.save(tmp_path / "splits.json")
    assert Splits.load(tmp_path / "splits.json") == splits
    (tmp_path / "splits.json").write_text('{"train": []}')
    with pytest.raises(DataError, match="is not a splits file"):
        Splits.load(tmp_path / "splits.json")


def test_rows_follow_the_split_and_foreign_data_is_refused():
    splits = Splits(train=("b", "a"), valid=(), test=("z",), by="subject", fingerprint="f")
    assert splits.rows(["a", "b", "c"], "train").tolist() == [1, 0]
    with pytest.raises(DataError, match="1 ids of the test split are not in the data, the first is z"):
        splits.rows(["a", "b"], "test")
    with pytest.raises(DataError, match="no split 'dev'"):
        splits.part("dev")
    assert splits.check_fingerprint("f") is splits
    with pytest.raises(DataError, match="belong to data f, these are data g"):
        splits.check_fingerprint("g")
