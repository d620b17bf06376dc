"""The page shows what guards saw, what was done about it and which laws are broken, of the run and those inside it."""

import json

from homeostat.report import findings, page, verdict
from homeostat.report.collect import collect

FOUND = {
    "audit": "padding",
    "severity": "fatal",
    "what": "7 more steps of padding move predictions by 0.3.",
    "cause": "Pooled over <all> steps.",
    "advice": "Pass the mask.",
    "command": "homeostat doctor icu",
    "evidence": {"relative difference": 0.3, "steps": 7},
}
ALARM = {"guard": "spike", "level": "warn", "sentence": "The loss jumped to 9.", "remedy": "rollback(0.5)"}
REMEDY = {
    "guard": "spike",
    "sentence": "healed at step 41 (guard spike): went back to step 20",
    "alarm_step": 41,
}


def note(folder, kind, **values):
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write(
            json.dumps({"time": "2026-11-20T09:31:02.000+00:00", "kind": kind, "step": 40} | values) + "\n"
        )


def test_a_run_that_nobody_examined_claims_nothing(halted_run):
    (halted_run / "journal.jsonl").write_text("")
    assert findings.findings(collect(halted_run)) == ""


def test_guards_that_were_silent_are_named(battery_run):
    assert "<p>Nothing found.</p>" in findings.findings(collect(battery_run))
    assert "Guards watched every step." in findings.findings(collect(battery_run))


def test_everything_of_a_child_is_on_its_parents_page(battery_run):
    child = battery_run / "children" / "fold-1"
    note(child, "audits", tried=["padding", "frozen"], findings=1)
    note(child, "finding", **FOUND)
    note(child, "alarm", **ALARM)
    note(child, "remedy", **REMEDY)
    text = page.render(battery_run)
    shown = text[text.index("<h2>What guards and doctor found</h2>") :]
    for sentence in (
        "Laws tried: padding and frozen.",
        "fatal",
        "<em>fold-1</em>: 7 more steps of padding move predictions by 0.3.",
        "relative difference 0.300, steps 7",
        "Pooled over &lt;all&gt; steps.",
        "Pass the mask.<br><code>homeostat doctor icu</code>",
        "<em>fold-1</em>: The loss jumped to 9.",
        "rollback(0.5)",
        "<em>fold-1</em>: healed at step 41 (guard spike): went back to step 20",
    ):
        assert sentence in shown, sentence
    doubts = "\n".join(verdict.distrust(collect(battery_run)))
    assert "7 more steps of padding move predictions by 0.3. Pass the mask." in doubts
    assert "1 remedy changed the course of training" in doubts
    assert "The doctor tried 2 laws; 1 held" in "\n".join(verdict.checked(collect(battery_run)))


def test_the_gravest_comes_first_and_each_once(battery_run):
    for fold in ("fold-1", "fold-2"):
        note(battery_run / "children" / fold, "finding", **(FOUND | {"severity": "note", "what": "Small."}))
        note(battery_run / "children" / fold, "finding", **FOUND)
    severities = [each["severity"] for _, each in findings.laws_broken(collect(battery_run))]
    assert severities == ["fatal", "note"]
