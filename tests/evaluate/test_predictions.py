"""A prediction file comes back as it was written, or is refused with a sentence that says what to do."""

import json

import numpy as np
import polars as pl
import pytest

from disk import files_at_most
from homeostat.errors import DataError, OutOfResources, RunError
from homeostat.evaluate.predictions import Predictions, read, write


def stays(n=40, **changes):
    rng = np.random.default_rng(0)
    settings = {
        "ids": np.arange(n),
        "subjects": np.arange(n) // 2,
        "targets": rng.integers(0, 2, n),
        "outputs": rng.random(n),
        "groups": {"sex": np.where(np.arange(n) % 2, "male", "female")},
    }
    return Predictions.build("binary", "test", **(settings | changes))


def assert_same(a, b):
    assert (a.kind, a.split, a.names, a.model, a.seed, a.unit) == (
        b.kind,
        b.split,
        b.names,
        b.model,
        b.seed,
        b.unit,
    )
    for name in ("ids", "subjects", "targets", "outputs", "time"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.groups.keys() == b.groups.keys()
    for name in a.groups:
        np.testing.assert_array_equal(a.groups[name], b.groups[name])


def test_what_is_written_is_read_back(tmp_path):
    written = stays(model="latent-ode", seed=3, selected="best valid/auroc, epoch 7")
    assert_same(read(write(written, tmp_path / "predictions" / "test.parquet")), written)


def test_a_trajectory_with_several_targets_is_read_back(tmp_path):
    written = Predictions.build(
        "regression",
        "out-of-fold",
        ids=["a:1", "a:2", "b:1"],
        subjects=["a", "a", "b"],
        names=("soh", "resistance"),
        targets=[[1.0, 2.0], [np.nan, 2.5], [0.5, np.nan]],
        outputs=[[1.0, 2.0], [0.9, 2.5], [0.5, 3.0]],
        time=[0.0, 1.5, 0.0],
        unit="Ah",
        time_unit="days",
    )
    assert_same(read(write(written, tmp_path / "t.parquet")), written)


def test_the_file_is_plain_parquet_for_any_other_tool(tmp_path):
    frame = pl.read_parquet(write(stays(), tmp_path / "t.parquet"))
    assert frame.columns == ["id", "subject", "target/y", "output/y", "group/sex"]


def test_a_write_that_fails_keeps_the_previous_file_and_leaves_nothing_behind(tmp_path):
    path = write(stays(), tmp_path / "t.parquet")

    with files_at_most(100), pytest.raises(OutOfResources, match=r"No room to write .*t\.parquet"):
        write(stays(n=10), path)
    assert len(read(path)) == 40
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_one_target_leaves_out_rows_of_unknown_truth():
    p = Predictions.build(
        "multilabel",
        "valid",
        ids=range(3),
        names=("mi", "hyp"),
        targets=[[1, np.nan], [0, 1], [np.nan, 0]],
        outputs=np.full((3, 2), 0.5),
    )
    assert p.one("mi").truth.tolist() == [1, 0]
    assert p.one("hyp").ids.tolist() == ["1", "2"]
    assert p.one("mi").kind == "binary"
    with pytest.raises(DataError, match="pick one with"):
        _ = p.truth


def test_outcomes_may_be_absent():
    p = Predictions.build("binary", "new", ids=["x"], targets=None, outputs=[0.2])
    assert len(p.one("y")) == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ids": [1] * 40}, "Id '1' occurs 40 times"),
        ({"outputs": np.full(40, 1.2)}, "Apply the sigmoid before writing"),
        ({"outputs": np.full(40, np.nan)}, "40 outputs are not finite, the first has id '0'"),
        ({"targets": np.full(40, 2)}, "binary targets are 0, 1 or NaN"),
        ({"targets": np.full(40, np.inf)}, "A target is infinite"),
        ({"subjects": [1, 2]}, "subjects has 2 rows, but there are 40 ids"),
        ({"groups": {"sex": ["f"]}}, "group 'sex' has 1 rows"),
        ({"time": np.full(40, np.nan)}, "A time is not finite"),
        ({"outputs": np.full((40, 2), 0.5)}, r"outputs have shape \(40, 2\)"),
        ({"names": ("a", "b"), "targets": np.zeros((40, 2)), "outputs": np.zeros((40, 2))}, "'multilabel'"),
        (
            {"ids": [], "targets": [], "outputs": [], "subjects": [], "groups": {}},
            "There is no prediction of split 'test'",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_sentence(changes, sentence):
    with pytest.raises(DataError, match=sentence):
        stays(**changes)


def test_an_unknown_kind_or_split_is_refused():
    with pytest.raises(DataError, match="Prediction kind 'ordinal' is unknown"):
        Predictions.build("ordinal", "test", ids=[1], targets=[0], outputs=[0])
    with pytest.raises(DataError, match="Split 'dev' is unknown"):
        Predictions.build("binary", "dev", ids=[1], targets=[0], outputs=[0])


def test_a_foreign_or_broken_file_is_refused(tmp_path):
    foreign, torn, old = tmp_path / "foreign.parquet", tmp_path / "torn.parquet", tmp_path / "old.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(foreign)
    torn.write_bytes(write(stays(), tmp_path / "t.parquet").read_bytes()[:-20])
    pl.DataFrame({"a": [1]}).write_parquet(old, metadata={"homeostat": json.dumps({"format": 0})})
    for path in (foreign, torn):
        with pytest.raises(DataError, match="is not a prediction file of Homeostat"):
            read(path)
    with pytest.raises(DataError, match="has prediction format 0, this version reads 1"):
        read(old)
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "none.parquet")


def test_a_file_that_lost_a_column_is_refused(tmp_path):
    path = write(stays(), tmp_path / "t.parquet")
    meta = pl.read_parquet_metadata(path)["homeostat"]
    pl.read_parquet(path).drop("output/y").write_parquet(path, metadata={"homeostat": meta})
    with pytest.raises(DataError, match="output/y"):
        read(path)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="none.parquet cannot be written: "):
        write(stays(), tmp_path / "file" / "none.parquet")
