"""Each thing that should be distrusted is said when it is there, and is not said when it is not."""

import json
from dataclasses import replace

import pytest

from homeostat.evaluate import ledger
from homeostat.evaluate.predictions import read
from homeostat.report import page, verdict
from homeostat.report.collect import collect
from homeostat.run import Run


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def doubts(folder):
    return "\n".join(verdict.distrust(collect(folder)))


def checks(folder):
    return "\n".join(verdict.checked(collect(folder)))


def test_a_sound_run_has_its_checks(icu_run):
    sentences = checks(icu_run)
    assert (
        "No id is in two splits (2,000 training, 1,000 validation and 1,500 test, split by subject)."
        in sentences
    )
    assert "Every scored row belongs to the test split" in sentences
    assert "Decision thresholds were chosen on validation predictions, never on test." in sentences
    assert "The run reached its planned end after 1 resume." in sentences
    assert "The test split was looked at once" in sentences


def test_a_patient_in_two_splits(icu_run):
    splits = json.loads((icu_run / "splits.json").read_text())
    edit(icu_run / "splits.json", train=[*splits["train"], "3", "4"])
    assert "2 ids (first: 3) are in both training and test: the score rewards memory." in doubts(icu_run)
    assert "No id is in two splits" not in checks(icu_run)


def test_rows_from_another_split(icu_run):
    edit(icu_run / "splits.json", test=[str(k) for k in range(1000)])
    assert "500 of 1,500 scored rows are not in the test split" in doubts(icu_run)
    assert "Every scored row belongs" not in checks(icu_run)


@pytest.mark.parametrize("state", ["halted", "failed", "interrupted", "died"])
def test_an_unfinished_run(icu_run, state):
    edit(icu_run / "status.json", state=state, reason="disk full.")
    assert f"its state is {state}: disk full." in doubts(icu_run)
    assert "planned end" not in checks(icu_run)


def test_a_headline_from_validation(icu_run):
    metrics = json.loads((icu_run / "metrics.json").read_text())
    edit(icu_run / "metrics.json", headline=metrics["headline"] | {"split": "valid"})
    assert "The headline is from the validation split, on which the state was chosen" in doubts(icu_run)


def test_a_score_that_could_be_nothing(icu_run):
    metrics = json.loads((icu_run / "metrics.json").read_text())
    assert "looks at nothing" not in doubts(icu_run)
    edit(icu_run / "metrics.json", headline=metrics["headline"] | {"value": 0.52, "low": 0.46, "high": 0.58})
    assert "The interval of AUROC holds 0.500, what a predictor that looks at nothing reaches" in doubts(
        icu_run
    )


def test_a_score_that_is_not_estimable(icu_run):
    metrics = json.loads((icu_run / "metrics.json").read_text())
    note = "only 4 positives, at least 10 are needed"
    edit(
        icu_run / "metrics.json",
        headline=metrics["headline"] | {"value": None, "low": None, "high": None, "note": note},
    )
    assert f"AUROC is not estimable: {note}." in doubts(icu_run)


def test_a_score_that_was_better_where_the_state_was_chosen(icu_run):
    assert "the splits differ" not in doubts(icu_run)
    metrics = json.loads((icu_run / "metrics.json").read_text())
    for score in metrics["scores"]:
        if (score["name"], score["split"], score["model"]) == ("auroc", "valid", "latent-ode"):
            score["value"] = 0.95
    edit(icu_run / "metrics.json", scores=metrics["scores"])
    assert "AUROC was 0.950 on validation, 0.8" in doubts(icu_run)
    assert "flattered it, or the splits differ" in doubts(icu_run)


def test_few_positives_and_few_subjects(icu_run, battery_run):
    metrics = json.loads((icu_run / "metrics.json").read_text())
    edit(icu_run / "metrics.json", headline=metrics["headline"] | {"events": 30})
    assert "Only 30 positives among 1,500 rows" in doubts(icu_run)
    assert "Only 12 subjects" in doubts(battery_run)


def test_a_second_look_at_the_test_split(icu_run):
    p = read(icu_run / "predictions" / "test-latent-ode.parquet")
    ledger.record(Run(icu_run).ledger_file, p, "evaluate")
    assert "best of several looks" not in doubts(icu_run)
    ledger.record(Run(icu_run).ledger_file, replace(p, outputs=p.outputs / 2), "evaluate")
    assert "scored with 2 different predictions of this run" in doubts(icu_run)
    assert "looked at once" not in checks(icu_run)


def test_a_yard_stick_that_wins(icu_run):
    metrics = json.loads((icu_run / "metrics.json").read_text())
    won = metrics["comparisons"][0] | {
        "difference": -0.03,
        "low": -0.05,
        "high": -0.01,
        "value_a": 0.8,
        "value_b": 0.83,
    }
    edit(icu_run / "metrics.json", comparisons=[won])
    assert "The yard-stick xgboost is better: AUROC 0.830 against 0.800" in doubts(icu_run)
    edit(icu_run / "metrics.json", comparisons=[won | {"high": 0.01}])
    assert "Not surely different from xgboost in AUROC" in doubts(icu_run)


def test_an_error_that_is_larger_is_worse_not_better(battery_run):
    metrics = json.loads((battery_run / "metrics.json").read_text())
    assert "yard-stick" not in doubts(battery_run)
    lost = metrics["comparisons"][0] | {"difference": 0.03, "low": 0.01, "high": 0.05}
    edit(battery_run / "metrics.json", comparisons=[lost])
    assert "The yard-stick linear fade is better: RMSE, mean over subjects" in doubts(battery_run)


def test_overconfident_probabilities(icu_run):
    assert "The probabilities are off by" in doubts(icu_run)
    assert "over-confident (slope 0.8" in doubts(icu_run)


def test_a_group_for_whom_it_works_worse(icu_run):
    metrics = json.loads((icu_run / "metrics.json").read_text())
    assert "Works worse" not in doubts(icu_run)
    group = metrics["subgroups"][0] | {"name": "auroc", "value": 0.6, "low": 0.5, "high": 0.7}
    edit(icu_run / "metrics.json", subgroups=[group])
    assert "Works worse for sex=female: AUROC 0.600 (0.500 to 0.700) against 0.8" in doubts(icu_run)


def test_alarms_and_a_training_that_ended_too_early(icu_run, halted_run):
    assert "Guard overfit at step 280: Validation loss rose" in doubts(icu_run)
    assert "The best state was the last one" not in doubts(icu_run)
    journal = halted_run / "journal.jsonl"
    extra = {"kind": "score", "step": 120, "epoch": 3, "valid/auroc": 0.85, "best": True}
    journal.write_text(journal.read_text() + json.dumps(extra) + "\n")
    assert "The best state was the last one" in doubts(halted_run)


def test_a_rare_target(chest_run):
    assert "Not estimable for want of cases: hernia." in doubts(chest_run)


def test_one_training_each(icu_run):
    assert "One training of each model" in doubts(icu_run)
    metrics = json.loads((icu_run / "metrics.json").read_text())
    several = [c | {"seeds": [3, 3]} for c in metrics["comparisons"]]
    edit(icu_run / "metrics.json", comparisons=several)
    assert "One training of each model" not in doubts(icu_run)


def test_what_the_doctor_found(icu_run):
    assert "doctor" not in checks(icu_run)
    finding = {
        "severity": "fatal",
        "what": "A patient's score depends on the batch (0.31).",
        "cause": "padding",
        "command": "",
    }
    note = {
        "audit": "support",
        "severity": "note",
        "what": "Few burns.",
        "cause": "",
        "advice": "",
        "command": "",
    }
    fatal = finding | {"audit": "batch_invariance", "advice": "Pack before flipping."}
    doctor = {"tried": ["batch_invariance", "masking", "support"], "findings": [note, fatal]}
    (icu_run / "findings.json").write_text(json.dumps(doctor))
    assert "A patient's score depends on the batch (0.31). Pack before flipping." in doubts(icu_run)
    assert "Few burns" not in doubts(icu_run)
    assert "The doctor tried 3 laws; 1 held on this model and its data." in checks(icu_run)
    text = page.render(icu_run)
    assert text.index("depends on the batch") < text.index("Few burns")
    (icu_run / "findings.json").write_text(json.dumps(doctor | {"findings": []}))
    assert "<p>Nothing found.</p>" in page.render(icu_run)


def test_no_claim_is_made_about_what_is_not_there(halted_run):
    assert verdict.checked(collect(halted_run)) == []
    assert "not been evaluated" in doubts(halted_run)
