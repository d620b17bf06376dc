"""Runs are compared as folders: seeds of one method belong together, and memory is refused."""

import json

import numpy as np
import pytest

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate import compare, contest, ledger
from homeostat.evaluate.predictions import Predictions, write
from homeostat.run import Run


@pytest.fixture
def runs(ward, tmp_path):
    """Two methods with two seeds each."""

    def make(name, noise, seed, train=("900",)):
        folder = tmp_path / name
        p = ward(600, seed=seed, truth_seed=1, noise=noise, model="net")
        write(p, folder / "predictions" / "test.parquet")
        (folder / "config.json").write_text(
            json.dumps({"recipe": "icu", "config": {"noise": noise, "fit": {"seed": seed}}})
        )
        splits = {
            "train": list(train),
            "valid": [],
            "test": p.ids.tolist(),
            "by": "subject",
            "fingerprint": "",
        }
        (folder / "splits.json").write_text(json.dumps(splits))
        return folder

    return make


def test_runs_that_differ_in_their_seed_are_one_method(runs):
    folders = [runs("a-0", 0.2, 0), runs("a-1", 0.2, 1), runs("b-0", 2.0, 2)]
    grouped = contest.by_method(folders)
    assert {name: [f.name for f in group] for name, group in grouped.items()} == {
        "a-0": ["a-0", "a-1"],
        "b-0": ["b-0"],
    }


def test_the_better_method_is_found_and_every_reading_is_noted(runs):
    folders = [runs("a-0", 0.2, 0), runs("a-1", 0.2, 1), runs("b-0", 3.0, 2), runs("b-1", 3.0, 3)]
    (comparison,) = contest.contest(contest.by_method(folders), resamples=300)
    assert (comparison.a, comparison.b, comparison.score, comparison.seeds) == ("a-0", "b-0", "auroc", (2, 2))
    assert comparison.difference > 0.05
    assert comparison.holm == comparison.p < 0.05
    assert [len(ledger.reads(Run(folder).ledger_file)) for folder in folders] == [1, 1, 1, 1]


def test_two_single_runs_are_compared_by_delong_and_the_note_says_what_that_means(runs):
    (comparison,) = contest.contest({"a": [runs("a", 0.2, 0)], "b": [runs("b", 3.0, 2)]})
    assert comparison.method == "paired DeLong"
    assert comparison.note.startswith("one training each")


def test_three_methods_are_three_pairs_corrected_together(runs):
    comparisons = contest.contest(
        {name: [runs(name, noise, 0)] for name, noise in (("a", 0.2), ("b", 1.0), ("c", 3.0))}
    )
    assert [(c.a, c.b) for c in comparisons] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(c.holm >= c.p for c in comparisons)


def test_every_target_of_a_regression_is_compared(tmp_path):
    random = np.random.default_rng(0)
    truth = np.column_stack([random.normal(size=80), random.normal(50, 10, 80)])
    folders = {}
    for name, off in (("a", (0.1, 9.0)), ("b", (0.9, 1.0))):
        predictions = Predictions.build(
            "regression",
            "test",
            ids=range(80),
            names=("soh", "resistance"),
            targets=truth,
            outputs=truth + random.normal(size=(80, 2)) * off,
        )
        folders[name] = [tmp_path / name]
        write(predictions, tmp_path / name / "predictions" / "test.parquet")
        (tmp_path / name / "splits.json").write_text(json.dumps({"train": [], "valid": [], "test": []}))
    soh, resistance = contest.contest(folders, resamples=300)
    assert (soh.target, resistance.target) == ("soh", "resistance")
    assert soh.difference < 0 < resistance.difference
    assert max(soh.holm, resistance.holm) < 0.05
    with pytest.raises(DataError, match="Compare one target at a time"):
        compare.paired_bootstrap([predictions], [predictions], "rmse")


def test_a_run_that_trained_on_the_others_test_patients_is_refused(runs):
    clean, leaked = runs("clean", 0.2, 0), runs("leaked", 0.2, 1, train=("5", "6", "7"))
    with pytest.raises(
        DataError, match=r"3 of 600 test ids of clean \(first: 5\) were training or validation ids of leaked"
    ):
        contest.contest({"a": [clean], "b": [leaked]})
    assert ledger.reads(Run(clean).ledger_file) == ()


def test_mistakes_are_told(runs, tmp_path):
    with pytest.raises(ConfigError, match="differ only in their seed are one method"):
        contest.contest({"a": [runs("a", 0.2, 0)]})
    with pytest.raises(DataError, match="is not a run: its config.json cannot be read"):
        contest.by_method([tmp_path / "nothing"])
