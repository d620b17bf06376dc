"""The test split is read once: the best of several looks is too good."""

from __future__ import annotations

from homeostat.audits.base import Finding, Severity, law
from homeostat.audits.given import Folder
from homeostat.evaluate import ledger

# More looks than these at one test split are a search among results; all runs of a folder have three times as many.
LOOKS = 3


@law("The test split is read once, after everything was chosen.")
def test_peek(folder: Folder) -> Finding | None:
    run = folder.run
    for event in run.events("score"):
        read = [name for name in event if str(name).startswith("test")]
        if read:
            return _finding(
                f"{read[0]} was computed while the model was still trained (step {event.get('step')}).",
                "fatal",
                {},
            )
    file = run.ledger_file
    # By content: to score the same predictions again is no new look.
    own = {read.content for read in ledger.reads(file) if read.purpose != ledger.YARD_STICK}
    everybody = 0
    if own:
        rows = {read.rows for read in ledger.reads(file)}
        everybody = max(len(ledger.looks(run.folder.parent, each)) for each in rows)
    if len(own) <= LOOKS and everybody <= 3 * LOOKS:
        return None
    return _finding(
        f"The test split was scored with {len(own)} different predictions of this run, {everybody} of all runs here.",
        "serious",
        {"looks": len(own), "looks of all runs": everybody},
    )


def _finding(what: str, severity: Severity, evidence: dict[str, float]) -> Finding:
    return Finding(
        audit=test_peek.name,
        severity=severity,
        what=what,
        evidence=dict(evidence),
        cause="Settings were tried out on the test set, or it stood in for validation.",
        advice="Report the first look, or a fresh test set; choose by validation.",
    )
