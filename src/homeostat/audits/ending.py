"""The end of a run, and what its guards said until then; also of a run that died without a word."""

from __future__ import annotations

from homeostat.audits.base import Finding, Severity, law
from homeostat.audits.given import Folder
from homeostat.errors import command

WORDS = {"died": "died", "halted": "was halted", "failed": "failed", "interrupted": "was interrupted"}
REASONS: dict[str, tuple[str, Severity]] = {
    "died": ("its process was killed from outside (memory, a session limit, a power cut)", "serious"),
    "halted": ("a guard stopped it", "fatal"),
    "failed": ("an error in the code or the data", "fatal"),
    "interrupted": ("a signal, the time budget, or a full disk", "note"),
}


@law("The run reached its planned end.")
def ending(folder: Folder) -> Finding | None:
    status = folder.run.status()
    state = str(status.get("state"))
    if state not in REASONS:
        return None
    cause, severity = REASONS[state]
    # A run that consists of others has no steps of its own.
    steps: dict[str, float | str] = {name: int(status[name]) for name in ("step", "total") if name in status}
    where = f" at step {steps['step']:,} of {steps['total']:,}" if len(steps) == 2 else ""
    reason = f": {str(status['reason']).rstrip('.')}." if status.get("reason") else "."
    again = "after the cause is mended, " if severity == "fatal" else ""
    return Finding(
        audit=ending.name,
        severity=severity,
        what=f"The run {WORDS[state]}{where}{reason}",
        evidence={"state": state, **steps},
        cause=f"Most probably {cause}.",
        advice=f"Continue it ({again}nothing before the last checkpoint is lost); --detach keeps a run from "
        "dying with its terminal.",
        command=command("resume", folder.run.folder.absolute()),
    )


@law("No guard raised an alarm.")
def alarms(folder: Folder) -> Finding | None:
    raised = [event for _, run in folder.run.family() for event in run.events("alarm")]
    if not raised:
        return None
    halts = [event for event in raised if event.get("level") == "halt"]
    # The first that halted, else the first: later alarms follow from it.
    first = (halts or raised)[0]
    names = ", ".join(dict.fromkeys(str(event.get("guard")) for event in raised))
    count = "1 alarm was" if len(raised) == 1 else f"{len(raised)} alarms were"
    remedy = f"Its remedy is {first['remedy']}." if first.get("remedy") else ""
    return Finding(
        audit=alarms.name,
        severity="fatal" if halts else "serious",
        what=f"{count} raised ({names}). The first: {first.get('sentence')}",
        evidence={"alarms": len(raised), "halts": len(halts), "guards": names},
        cause=f"See the sentence of guard {first.get('guard')}.",
        advice=remedy or "Mend the first; others follow from it.",
        command=command("logs", folder.run.folder.absolute()),
    )
