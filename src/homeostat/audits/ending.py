"""How did the run end, and what did its guards say? Also of a run that died without a word."""

from __future__ import annotations

from homeostat.audits.base import Audit, Case, Finding
from homeostat.run import Run

WORDS = {"died": "died", "halted": "was halted", "failed": "failed", "interrupted": "was interrupted"}
REASONS = {
    "died": ("its process was killed from outside (memory, a session limit, a power cut)", "serious"),
    "halted": ("a guard stopped it", "fatal"),
    "failed": ("an error in the code or the data", "fatal"),
    "interrupted": ("a signal, the time budget, or a full disk", "note"),
}


def _check_end(case: Case) -> Finding | None:
    run = case.run
    assert run is not None
    status = run.status()
    state = str(status.get("state"))
    if state not in REASONS:
        return None
    cause, severity = REASONS[state]
    step, total = int(status.get("step", 0)), int(status.get("total", 0))
    told = f": {str(status['reason']).rstrip('.')}." if status.get("reason") else "."
    again = "after the cause is mended, " if severity == "fatal" else ""
    return Finding(
        audit=ending.name,
        severity="fatal" if severity == "fatal" else "serious" if severity == "serious" else "note",
        what=f"The run {WORDS[state]} at step {step:,} of {total:,}{told}",
        evidence={"state": state, "step": step, "total": total},
        cause=f"Most probably {cause}.",
        advice=f"Continue it ({again}nothing before the last checkpoint is lost); --detach keeps a run from "
        "dying with its "
        "terminal.",
        command=f"homeostat resume {run.folder}",
    )


def _check_alarms(case: Case) -> Finding | None:
    assert case.run is not None
    heard = [event for run in _family(case.run) for event in run.events("alarm")]
    if not heard:
        return None
    halts = [event for event in heard if event.get("level") == "halt"]
    first = (halts or heard)[0]
    names = ", ".join(dict.fromkeys(str(event.get("guard")) for event in heard))
    return Finding(
        audit=alarms.name,
        severity="fatal" if halts else "serious",
        what=f"{len(heard)} alarms were raised ({names}). The first: {first.get('sentence')}",
        evidence={"alarms": len(heard), "halts": len(halts), "guards": names},
        cause=f"See the sentence of guard {first.get('guard')}.",
        advice=f"Its remedy is {first['remedy']}."
        if first.get("remedy")
        else "Mend the first; others follow from it.",
        command=f"homeostat logs {case.run.folder}",
    )


def _family(run: Run) -> list[Run]:
    return [run, *(inner for child in run.children() for inner in _family(child))]


ending = Audit(name="ending", law="The run reached its planned end.", needs=("run",), check=_check_end)
alarms = Audit(name="alarms", law="No guard raised an alarm.", needs=("run",), check=_check_alarms)
