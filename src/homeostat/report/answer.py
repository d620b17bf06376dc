"""Say in one line what the score of a run is worth."""

from __future__ import annotations

from collections.abc import Iterator

from homeostat.evaluate.score import Score
from homeostat.report import verdict
from homeostat.report.collect import Collected
from homeostat.report.findings import laws_broken
from homeostat.report.words import listed, short


def sentence(run: Collected) -> str:
    """Say in one line what the score is worth, before any detail."""
    score = run.headline
    if score is None:
        return "There is no score yet: the run has not been evaluated."
    if any(True for part in (verdict.leaks, _fatal) for _ in part(run)):
        return "Do not use this score: what speaks against it is listed below."
    if score.value is None:
        return f"There is no score: {score.note}."
    return f"{_against_nothing(score)} {_against_rivals(run)}".strip()


def _against_nothing(score: Score) -> str:
    if score.low is None or score.high is None or score.trivial is None:
        return "The score has no interval: how far chance carries it is not known."
    worse = score.high < score.trivial if score.better == "higher" else score.low > score.trivial
    if worse:
        return "The model is worse than a predictor that looks at nothing."
    if score.low <= score.trivial <= score.high:
        return "It is not shown that the model learnt anything."
    return "The model surely beats a predictor that looks at nothing."


def _against_rivals(run: Collected) -> str:
    """Say which yard-sticks are beaten, are not beaten, or win in the headline score."""
    headline = run.headline
    sides: dict[int, list[str]] = {1: [], 0: [], -1: []}
    for c in verdict.comparisons(run):
        if headline and c["score"] == headline.name and c.get("target", "") in ("", headline.target):
            sign = -1 if headline.better == "lower" else 1
            side = 0 if c["low"] <= 0 <= c["high"] else sign * (1 if c["difference"] > 0 else -1)
            sides[side].append(str(c["b"]))
    parts = [
        f"{verb} {listed([short(name) for name in names])}"
        for verb, names in (
            ("beats", sides[1]),
            ("does not surely differ from", sides[0]),
            ("loses to", sides[-1]),
        )
        if names
    ]
    return f"It {listed(parts)}." if parts else ""


def _fatal(run: Collected) -> Iterator[str]:
    yield from (
        str(finding.get("what", "")) for _, finding in laws_broken(run) if finding.get("severity") == "fatal"
    )
