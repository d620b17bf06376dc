"""The score is better than that of a predictor which looks at nothing. An F1 of 0.80 can be all-positive guessing."""

from __future__ import annotations

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Folder
from homeostat.errors import command
from homeostat.run import sealed


@law("The score is better than that of a predictor that looks at nothing.")
def trivial(folder: Folder) -> Finding | None:
    run = folder.run
    if not sealed.has(run.metrics_file):
        return None
    headline = run.kept(run.metrics_file).get("headline", {})
    value, plain = headline.get("value"), headline.get("trivial")
    low, high = headline.get("low"), headline.get("high")
    if value is None or plain is None:
        return None
    gain = (plain - value) if headline.get("better") == "lower" else (value - plain)
    # Within the interval, the difference to looking at nothing may be chance.
    within = low is not None and high is not None and low <= plain <= high
    if gain > 0 and not within:
        return None
    interval = f" [{low:.3g}, {high:.3g}]" if low is not None and high is not None else ""
    return Finding(
        audit=trivial.name,
        severity="serious",
        what=f"{headline.get('name', 'The score')} is {value:.3g}{interval}; looking at nothing gives {plain:.3g}.",
        evidence={"value": value, "trivial": plain},
        cause="Nothing was learnt that holds on new subjects, or the score rewards the prior (accuracy, F1).",
        advice="Look at the course of the training, its alarms, and whether eight samples can be learnt.",
        command=command("report", run.folder.absolute()),
    )
