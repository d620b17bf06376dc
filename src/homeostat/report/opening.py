"""Write the first screen: the score beside its yard-sticks, what was checked, and what to distrust."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from homeostat.report import again, answer, each, verdict
from homeostat.report.collect import Collected
from homeostat.report.forest import forest
from homeostat.report.words import (
    MEANINGS,
    SPLITS,
    count,
    escape,
    interval,
    label,
    listed,
    moment,
    number,
    short,
)


def opening(run: Collected) -> str:
    """Say what was trained; show the score beside its yard-sticks, what was checked and what to distrust."""
    checked = _list("What was checked", verdict.checked(run), "good", "Nothing could be checked yet.")
    doubts = "Nothing stands out. Read the intervals anyway."
    distrust = _list("What to distrust", verdict.distrust(run), "bad", doubts)
    return (
        f'<header><p class="over">Homeostat report</p><h1>{escape(_title(run))}</h1>'
        f'<p class="lead">{escape(answer.sentence(run))}</p><p>{_lead(run)}</p></header>'
        f'<div class="verdict">{_headline(run)}{_sticks(run)}</div>{again.again(run)}'
        f'<div class="two">{checked}{distrust}</div>'
    )


def _title(run: Collected) -> str:
    title = f"{run.recipe}: {run.model}" if run.recipe and run.model else run.recipe or run.model or run.name
    return short(title)


def _lead(run: Collected) -> str:
    """Say which model predicts which targets, and on whom it was scored."""
    parts = []
    if run.metrics.get("about"):
        parts.append(escape(run.metrics["about"]))
    facts = run.metrics.get("splits", {})
    main = run.main
    if main is not None:
        targets = (
            listed([escape(short(name)) for name in main.names])
            if len(main.names) < 5
            else f"{len(main.names)} targets"
        )
        who = count(int(facts.get(main.split, {}).get("subjects", 0)), "subject")
        parts.append(
            f"{escape(short(main.model))} predicting {targets}, scored on {who} of the {SPLITS[main.split]} split."
        )
    if len(run.splits) > 1:
        sizes = listed([f"{count(len(ids))} {SPLITS[part]}" for part, ids in run.splits.items()])
        parts.append(f"Split: {sizes}.")
    if run.metrics.get("selected"):
        parts.append(f"State: {escape(run.metrics['selected'])}.")
    when = moment(str(run.status.get("started") or run.status.get("heartbeat") or ""))
    tail = " · ".join(
        part for part in (escape(short(run.name)), when, escape(run.status.get("state", ""))) if part
    )
    return f'{" ".join(parts)}</p><p class="quiet">{tail}'


def _headline(run: Collected) -> str:
    score = run.headline
    if score is None:
        return _mean_of_children(run)
    like, kind = score.value, "none" if score.value is None else ""
    if score.value is None:
        shown, below = "not estimable", escape(score.note)
    else:
        unit = f'<span class="unit"> {escape(score.unit)}</span>' if score.unit else ""
        shown = f"{number(score.value)}{unit}"
        below = (
            f"{score.level:.0%} interval {interval(score.low, score.high, score.value)}"
            if score.low is not None
            else "no interval"
        )
    trivial = "" if score.trivial is None else f"<br>trivial predictor {number(score.trivial, like)}"
    events = "" if score.events is None or not score.target else f", {count(score.events, 'positive')}"
    alone = "".join(f"<br>{escape(line)}" for line in each.summary(run))
    meaning = MEANINGS.get(score.name, "") if score.value is not None else ""
    means = (
        f'<p class="quiet">{escape(meaning.format(share=f"{score.value or 0:.0%}"))}</p>' if meaning else ""
    )
    rows = f"{count(score.n, 'row')} of " if score.n != score.subjects else ""
    size = f"{rows}{count(score.subjects, 'subject')}{events}"
    name = f"{label(score.name)}, {SPLITS.get(score.split, score.split)}"
    return (
        f'<div class="headline"><p class="over">{escape(name)}</p><p class="big {kind}">{shown}</p>'
        f'<p>{below}{trivial}{alone}<br><span class="quiet">{size}</span></p>{means}</div>'
    )


def _mean_of_children(run: Collected) -> str:
    scores = [child.headline for child in run.children if child.headline and child.headline.value is not None]
    values = [score.value for score in scores if score.value is not None]
    # A mean of an AUROC and an error is no number.
    if len(values) < 2 or len({score.name for score in scores}) > 1:
        return '<div class="headline"><p class="over">Score</p><p class="big none">not evaluated</p></div>'
    spread = statistics.stdev(values)
    return (
        f'<div class="headline"><p class="over">{escape(label(scores[0].name))}, mean of {len(values)} child runs</p>'
        f'<p class="big">{number(statistics.fmean(values))}</p>'
        f"<p>standard deviation between them {number(spread)}<br>"
        f'<span class="quiet">from {number(min(values))} to {number(max(values))}</span></p></div>'
    )


def _sticks(run: Collected) -> str:
    """Draw the headline score of every model as a forest: the yard-sticks belong on the first screen."""
    score = run.headline
    if score is None:
        return ""
    key = (score.name, score.split, score.target)
    same = {s.model: s for s in run.scores if (s.name, s.split, s.target) == key}
    if not same:
        return ""
    rows = [(model, same[model]) for model in run.models if model in same]
    dotted = "the trivial predictor, which looks at nothing"
    drawn = forest(rows, reference=score.trivial, dotted=dotted, what="Model")
    return f'<div class="sticks">{drawn}</div>'


def _list(title: str, sentences: Sequence[str], kind: str, nothing: str) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) or f"<li>{escape(nothing)}</li>"
    return f'<section class="{kind}"><h2>{escape(title)}</h2><ul>{items}</ul></section>'
