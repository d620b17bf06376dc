"""Every look at the test set is remembered, repeats of the same look are known as such, and nothing is forgotten."""

from dataclasses import replace

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.evaluate import ledger
from homeostat.run import Run


def test_every_reading_is_remembered(ward, tmp_path):
    p = ward(50, model="ode")
    for minute in range(3):
        ledger.record(
            Run(tmp_path).ledger_file, p, "evaluate", now=lambda minute=minute: f"2026-11-20T10:0{minute}"
        )
    kept = ledger.reads(Run(tmp_path).ledger_file)
    assert [(r.time[-1], r.purpose, r.model, r.n) for r in kept] == [
        (m, "evaluate", "ode", 50) for m in "012"
    ]
    assert len({r.content for r in kept}) == 1


def test_the_fingerprint_is_of_the_rows_not_of_their_order(ward):
    p = ward(50)
    shuffled = p.take(np.random.default_rng(0).permutation(50))
    assert ledger.fingerprints(p) == ledger.fingerprints(shuffled)


def test_other_outputs_on_the_same_rows_are_a_new_look_at_the_same_test(ward, tmp_path):
    p = ward(50)
    q = replace(p, outputs=p.outputs / 2)
    for name, predictions in (("run-a", p), ("run-b", q), ("run-c", p), ("run-d", ward(40))):
        ledger.record(Run(tmp_path / name).ledger_file, predictions, "evaluate")
    rows, _ = ledger.fingerprints(p)
    assert len(ledger.looks(tmp_path, rows)) == 2


def test_scoring_a_yard_stick_is_no_look_that_a_model_was_chosen_by(ward, tmp_path):
    p = ward(50)
    ledger.record(Run(tmp_path / "run").ledger_file, p, ledger.YARD_STICK)
    assert ledger.looks(tmp_path, ledger.fingerprints(p)[0]) == ()


def test_a_line_that_a_kill_cut_off_is_left_out(ward, tmp_path):
    path = Run(tmp_path).ledger_file
    ledger.record(path, ward(50), "evaluate")
    path.write_text(path.read_text() + '{"time": "2026')
    assert len(ledger.reads(path)) == 1


@pytest.mark.parametrize("torn", ['{"time": "2026', '{"time": "2026"}', "{", " "])
def test_a_reading_after_a_line_that_a_kill_cut_off_is_kept(ward, tmp_path, torn):
    path = Run(tmp_path).ledger_file
    for model in ("first", "second", "third"):
        ledger.record(path, ward(50, model=model), "evaluate")
        with path.open("a") as file:
            file.write(torn)
    assert [read.model for read in ledger.reads(path)] == ["first", "second", "third"]


def test_a_line_that_was_cut_off_with_its_line_end_is_damage(ward, tmp_path):
    path = Run(tmp_path).ledger_file
    ledger.record(path, ward(50), "evaluate")
    path.write_text(path.read_text() + '{"time": "2026\n')
    with pytest.raises(DataError, match="restore it"):
        ledger.reads(path)


def test_a_damaged_ledger_is_an_error_not_an_empty_one(tmp_path):
    path = Run(tmp_path).ledger_file
    path.write_text("{}\n")
    with pytest.raises(DataError, match="counts the looks at the test set; restore it"):
        ledger.reads(path)


def test_no_ledger_no_reads(tmp_path):
    assert ledger.reads(Run(tmp_path).ledger_file) == ()
