"""Say in plain sentences what was checked and what to distrust, each from numbers in the run's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import MINIMUM_EVENTS, Score
from homeostat.report.collect import Collected
from homeostat.report.findings import laws_broken, laws_tried
from homeostat.report.words import SPLITS, count, interval, label, listed, number, p_values

# With 50 positives among 400 rows an AUROC of 0.85 has a standard error of 0.035 (Hanley and McNeil 1982).
FEW_EVENTS = 50
"""Below this an AUROC's interval is wider than most differences that people argue about."""
# Student's quantile is 4 % above the normal one at 30 subjects, and 15 % at 10.
FEW_SUBJECTS = 30


def checked(run: Collected) -> list[str]:
    """List the laws that this report tried on the files itself, or that the files prove."""
    return [
        sentence for part in (_splits, _rows, _laws, _provenance, _course, _units) for sentence in part(run)
    ]


def distrust(run: Collected) -> list[str]:
    """List what could mislead, the gravest first."""
    # What makes the number wrong comes before what makes it imprecise.
    parts = (
        _damaged,
        leaks,
        _doctor,
        _unfinished,
        _headline,
        _small,
        _drop,
        _looks,
        _rivals,
        _calibration,
        _groups,
        _training,
    )
    return [sentence for part in parts for sentence in part(run)]


def _splits(run: Collected) -> Iterator[str]:
    if len(run.splits) < 2 or _shared(run):
        return
    sizes = listed([f"{count(len(ids))} {SPLITS[part]}" for part, ids in run.splits.items()])
    apart = f", split by {run.split_by}" if run.split_by else ""
    yield f"No id is in two splits ({sizes}{apart})."


def _rows(run: Collected) -> Iterator[str]:
    main = run.main
    if main is None or main.split not in run.splits or _strangers(main, run):
        return
    yield f"Every scored row belongs to the {SPLITS[main.split]} split, and every output is finite."


def _provenance(run: Collected) -> Iterator[str]:
    cuts = run.metrics.get("thresholds", {}).values()
    where = sorted({SPLITS.get(cut["fitted_on"], cut["fitted_on"]) for cut in cuts})
    if where:
        yield f"Decision thresholds were chosen on {listed(where)} predictions, never on test."
    if any(score.model != run.model for score in run.scores):
        yield "Every yard-stick was scored on the same rows, and the differences are paired."


def _course(run: Collected) -> Iterator[str]:
    if run.status.get("state") == "done":
        resumes = len(run.of("resume"))
        again = f" after {count(resumes, 'resume')}" if resumes else ""
        yield f"The run reached its planned end{again}."
    watched, alarms = (_all(run, kind) for kind in ("epoch", "alarm"))
    if watched and run.status.get("state") == "done" and not alarms:
        yield "No guard raised an alarm."
    if len(_contents(run)) == 1:
        yield "The test split was looked at once: one set of predictions, however often it was read."


def _units(run: Collected) -> Iterator[str]:
    headline = run.headline
    if headline and headline.low is not None:
        unit = "subjects, not rows," if headline.subjects < headline.n else "subjects"
        yield f"Intervals are {headline.level:.0%} and treat {unit} as the independent units."


def _laws(run: Collected) -> Iterator[str]:
    tried = laws_tried(run)
    if tried:
        broken = {finding.get("audit") for _, finding in laws_broken(run)}
        kept = [name for name in tried if name not in broken]
        yield f"The doctor tried {count(len(tried), 'law')}; {len(kept)} held on this model and its data."


def _doctor(run: Collected) -> Iterator[str]:
    for _, finding in laws_broken(run):
        if finding.get("severity") != "note":
            yield f"{finding.get('what', '')} {finding.get('advice', '')}".strip()


def _damaged(run: Collected) -> Iterator[str]:
    yield from (f"Not readable: {sentence}" for sentence in run.broken)


def leaks(run: Collected) -> Iterator[str]:
    """Say who is in two splits, and which scored rows belong to none."""
    for (a, b), ids in _shared(run).items():
        yield (
            f"{count(len(ids), 'id')} (first: {min(ids)}) are in both {SPLITS[a]} and {SPLITS[b]}: "
            "the score rewards memory. Split again and retrain."
        )
    main = run.main
    if main is not None and main.split in run.splits and (strangers := _strangers(main, run)):
        where = f"the {SPLITS[main.split]} split of splits.json"
        yield f"{count(strangers)} of {count(len(main))} scored rows are not in {where}."


def _unfinished(run: Collected) -> Iterator[str]:
    state = run.status.get("state", "unknown")
    if state in ("done", "new"):
        return
    reason = f": {run.status['reason']}" if run.status.get("reason") else ""
    yield f"The run did not reach its end; its state is {state}{reason}"


def _headline(run: Collected) -> Iterator[str]:
    score = run.headline
    if score is None:
        yield "The run has not been evaluated: there is no score to believe or to doubt."
        return
    if score.value is None:
        yield f"{label(score.name)} is not estimable: {score.note}."
        return
    if score.split in ("valid", "train"):
        yield (
            f"The headline is from the {SPLITS[score.split]} split, on which the state was chosen: "
            "it flatters. Score test predictions."
        )
    if score.low is None or score.high is None or score.trivial is None:
        return
    if score.low <= score.trivial <= score.high:
        yield (
            f"The interval of {label(score.name)} holds {number(score.trivial)}, what a predictor that looks at "
            "nothing reaches: it is not shown that anything was learnt."
        )


def _small(run: Collected) -> Iterator[str]:
    score = run.headline
    if score is None or score.value is None:
        return
    if score.events is not None and score.target != "" and MINIMUM_EVENTS <= score.events < FEW_EVENTS:
        events = f"{count(score.events, 'positive')} among {count(score.n)} rows"
        yield f"Only {events}: the interval is wide and chance is strong."
    if score.subjects < FEW_SUBJECTS:
        who = count(score.subjects, "subject")
        yield f"Only {who}: the interval is rough, and who they are matters more than the model."
    silent = sorted({s.target for s in run.scores if s.value is None and s.target and s.name == "auroc"})
    if silent:
        yield f"Not estimable for want of cases: {listed(silent)}."


def _drop(run: Collected) -> Iterator[str]:
    """Doubt a score that was better where the state was chosen than where it is reported."""
    score = run.headline
    if score is None or score.value is None or score.low is None or score.high is None:
        return
    before = next((s for s in run.scores if _key(s) == _key(score) and s.split == "valid"), None)
    if before is None or before.value is None or score.better == "neither" or score.split == "valid":
        return
    # Outside of the interval of the reported split: its sampling alone does not explain it.
    if before.value > score.high if score.better == "higher" else before.value < score.low:
        change = f"{number(before.value)} on validation, {number(score.value)} on {SPLITS[score.split]}"
        yield (
            f"{label(score.name)} was {change}: more than chance. Either the choice of the state on validation "
            "flattered it, or the splits differ."
        )


def _key(score: Score) -> tuple[str, str, str]:
    return score.name, score.target, score.model


def _looks(run: Collected) -> Iterator[str]:
    own = len(_contents(run))
    everybody = int(run.metrics.get("ledger", {}).get("looks_of_all_runs", 0))
    if own > 1:
        yield (
            f"The test split was scored with {own} different predictions of this run. The best of several looks is "
            "too good; the first look counts."
        )
    elif everybody > 3:
        yield (
            f"{everybody} different predictions, of this and neighbouring runs, were scored on this test split. "
            "Choosing the best among them flatters it."
        )


def _rivals(run: Collected) -> Iterator[str]:
    headline = run.headline
    for c in comparisons(run):
        if (
            headline is None
            or c["score"] != headline.name
            or c.get("target", "") not in ("", headline.target)
        ):
            continue
        gain = c["difference"] * (-1 if headline.better == "lower" else 1)
        p = p_values(c["p"], c.get("holm"))
        size = max(abs(c["low"]), abs(c["high"]))
        span = f"difference {number(c['difference'], size)}, {interval(c['low'], c['high'])}"
        if c["low"] <= 0 <= c["high"]:
            yield f"Not surely different from {c['b']} in {label(c['score'])} ({span}; p {p})."
        elif gain < 0:
            beaten = f"{number(c['value_b'])} against {number(c['value_a'])}"
            yield f"The yard-stick {c['b']} is better: {label(c['score'])} {beaten} ({span}; p {p})."
    if comparisons(run) and all(c["seeds"] == [1, 1] for c in comparisons(run)):
        yield "One training of each model: another seed may change their order. Train several seeds to compare methods."


def _calibration(run: Collected) -> Iterator[str]:
    error, slope = run.own("ece"), run.own("calibration slope")
    # Half a per cent of probability changes hardly a decision, however surely it is there.
    if error is None or not error.low or error.low <= 0.005:
        return
    way, cure = "", next(iter(run.metrics.get("calibrators", {}).values()), None)
    if slope is not None and slope.value is not None and slope.low is not None and slope.high is not None:
        way = " They are over-confident" if slope.high < 1 else " They are too timid" if slope.low > 1 else ""
        way += f" (slope {number(slope.value)})." if way else ""
        # A temperature cannot shift the mean: when that is wrong as well, it may point the other way and not help.
        if way and cure is not None and (cure["value"] > 1.05 if slope.high < 1 else cure["value"] < 0.95):
            way += f" Dividing the logits by {number(cure['value'])}, fitted on validation, would mend much of it."
    gap = f"{number(error.value)} on average ({interval(error.low, error.high)})"
    yield f"The probabilities are off by {gap}.{way}"


def _groups(run: Collected) -> Iterator[str]:
    for values in run.metrics.get("subgroups", ()):
        score = Score.from_dict(values)
        whole = run.own(score.name, score.target)
        if whole is None or whole.value is None or score.low is None or score.high is None:
            continue
        if score.better == "neither":
            continue
        if score.low > whole.value if score.better == "lower" else score.high < whole.value:
            value = f"{label(score.name)} {number(score.value)} ({interval(score.low, score.high)})"
            yield f"Works worse for {score.group}: {value} against {number(whole.value)} for everybody."


def _training(run: Collected) -> Iterator[str]:
    alarms, healed = _all(run, "alarm"), _all(run, "remedy")
    for alarm in alarms[:3]:
        yield f"Guard {alarm.get('guard')} at step {count(int(alarm.get('step', 0)))}: {alarm.get('sentence')}"
    if len(alarms) > 3:
        yield f"{count(len(alarms) - 3)} further alarms are listed below."
    if healed:
        yield f"{count(len(healed), 'remedy', 'remedies')} changed the course of training; they are listed below."
    scores = run.of("score")
    # Of two evaluations the last is the best half of the time.
    if len(scores) >= 3 and scores[-1].get("best"):
        yield "The best state was the last one: training may have ended while it was still improving."


def _all(run: Collected, kind: str) -> list[Mapping[str, Any]]:
    """Return the events of the run and of those inside it."""
    return [event for _, member in run.family() for event in member.of(kind)]


def _shared(run: Collected) -> dict[tuple[str, str], set[str]]:
    parts = list(run.splits)
    pairs = [(a, b) for k, a in enumerate(parts) for b in parts[k + 1 :]]
    shared = {(a, b): set(run.splits[a]) & set(run.splits[b]) for a, b in pairs}
    return {pair: ids for pair, ids in shared.items() if ids}


def _strangers(p: Predictions, run: Collected) -> int:
    """Count the scored rows that belong to their split neither by id nor by subject."""
    # splits.json lists rows or subjects, as its recipe splits.
    members = set(run.splits[p.split])
    return sum(row not in members and who not in members for row, who in zip(p.ids, p.subjects, strict=True))


def _contents(run: Collected) -> set[str]:
    return {read.content for read in run.reads if read.model == run.model}


def comparisons(run: Collected) -> list[dict[str, Any]]:
    """Return the differences to the yard-sticks."""
    return [dict(c) | {"seeds": list(c.get("seeds", ()))} for c in run.metrics.get("comparisons", ())]
