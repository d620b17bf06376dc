"""Put numbers side by side: tables of scores, each number with its interval drawn beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from homeostat.evaluate.score import Score
from homeostat.report.collect import Collected
from homeostat.report.words import SPLITS, count, escape, interval, label, number, p_value

WIDTH, HEIGHT = 180, 18
ROUGH = "the interval is rough"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[int] = (), kind: str = ""
) -> str:
    """Write a table whose cells are HTML already; `numeric` columns line up at the right."""
    classes = ["n" if k in numeric else "" for k in range(len(head))]
    top = "".join(
        f'<th scope="col" class="{c}">{escape(cell)}</th>' for c, cell in zip(classes, head, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<{tag} class="{c}">{cell}</{tag.split()[0]}>'
            for tag, c, cell in zip(['th scope="row"', *["td"] * (len(head) - 1)], classes, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def value(score: Score, like: float | None = None) -> str:
    """Write the number with its interval below it, or the reason why there is none."""
    if score.value is None:
        return f'<span class="quiet">{escape(score.note or "not estimable")}</span>'
    shared = score.value if like is None else like
    unit = f" {escape(score.unit)}" if score.unit else ""
    bounds = interval(score.low, score.high, shared)
    below = f'<br><span class="quiet">{bounds}</span>' if bounds else ""
    return f"<b>{number(score.value, shared)}</b>{unit}{below}"


def smallest(scores: Iterable[Score]) -> float | None:
    """Return the value whose decimals a row shares, so that its numbers can be compared by eye."""
    sizes = [abs(score.value) for score in scores if score.value]
    # Smaller values would give the whole row more decimals than anybody can read.
    return max(min(sizes), 0.002) if sizes else None


def scores(run: Collected, here: Sequence[Score]) -> str:
    """Write the scores of one split: the model, its yard-sticks, the trivial predictor."""
    models = run.models
    by_key = {(s.target, s.name, s.model): s for s in here}
    keys = list(dict.fromkeys((s.target, s.name) for s in here))
    several = len({target for target, _ in keys if target}) > 1
    rows = []
    for target, name in keys:
        row = [by_key.get((target, name, m)) for m in models]
        like = smallest(s for s in row if s is not None)
        first = next(s for s in row if s is not None)
        cells = ["" if s is None else value(s, like) for s in row]
        title = f"{escape(target)}: {escape(label(name))}" if several and target else escape(label(name))
        way = {"higher": "↑", "lower": "↓"}.get(first.better, "")
        arrow = f' <span class="way" title="{first.better} is better">{way}</span>' if way else ""
        rows.append([f"{title}{arrow}<br>{_how(first)}", *cells, _trivial(first, like), count(first.n)])
    head = ["Score, interval by", *models, "Trivial", "n"]
    return table(head, rows, numeric=range(1, len(models) + 3), kind="scores")


def _trivial(score: Score, like: float | None) -> str:
    return "" if score.trivial is None else number(score.trivial, like)


def _how(score: Score) -> str:
    """Write the method of the interval and the note; the first screen alone says that subjects are few."""
    note = "" if score.value is None or score.note.endswith(ROUGH) else score.note
    return _quiet(score.method, note)


def _quiet(*parts: str) -> str:
    return f'<span class="quiet">{escape("; ".join(part for part in parts if part))}</span>'


def forest(
    rows: Sequence[tuple[str, Score]], *, reference: float | None, what: str, ranked: bool = False
) -> str:
    """Draw one row per model, subgroup, target or subject: n, interval as a line, number."""
    estimable = [s for _, s in rows if s.value is not None]
    ends = [v for s in estimable for v in (s.low, s.high, s.value) if v is not None and math.isfinite(v)]
    ends += [] if reference is None else [reference]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = (high - low) * 0.06 or 0.5
    like = smallest(estimable)
    with_events = any(s.events is not None for _, s in rows)
    name = label(rows[0][1].name) if rows else ""
    head = (what, "n", *(["events"] if with_events else []), "", name)
    body = []
    for title, s in rows:
        events = ["" if s.events is None else count(s.events)] if with_events else []
        body.append(
            (escape(title), _n(s), *events, whisker(s, low - room, high + room, reference), value(s, like))
        )
    return table(
        head,
        body,
        numeric=(1, 2, 4) if with_events else (1, 3),
        kind="forest events" if with_events else "forest",
    )


def _n(score: Score) -> str:
    return "" if score.n == 0 else count(score.n)


def whisker(score: Score, low: float, high: float, reference: float | None) -> str:
    def x(v: float) -> float:
        return round((v - low) / (high - low) * WIDTH, 1)

    middle = HEIGHT / 2
    parts = [] if reference is None else [f'<path class="line trivial" d="M{x(reference)} 0V{HEIGHT}"/>']
    if score.low is not None and score.high is not None:
        parts.append(f'<path class="line s0" d="M{x(score.low)} {middle}H{x(score.high)}"/>')
    if score.value is not None:
        parts.append(f'<path class="dots s0" stroke-width="7" d="M{x(score.value)} {middle}h0"/>')
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
    return f'<svg class="whisker" {size} aria-hidden="true">{"".join(parts)}</svg>'


def comparisons(run: Collected) -> str:
    """List differences to the yard-sticks, without the note on one training each: the first screen has it."""
    rows = [
        (
            f"{escape(c['a'])} − {escape(c['b'])}<br>{_quiet(c['method'])}",
            escape(label(c["score"])),
            number(c["difference"], max(abs(c["low"]), abs(c["high"]))),
            interval(c["low"], c["high"]),
            p_value(c["p"]),
            p_value(c.get("holm")),
        )
        for c in run.metrics.get("comparisons", ())
    ]
    head = ("Difference", "in", "value", "95 % interval", "p", "p, Holm")
    return table(head, rows, numeric=(2, 3, 4, 5), kind="scores") if rows else ""


def subjects(rows: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Write the table of subjects, worst first; the middle of a long one is left to metrics.json."""
    shown = list(rows) if len(rows) <= 24 else [*rows[:12], *rows[-12:]]
    like = min((r["rmse"] for r in shown if r["rmse"] >= 0.002), default=None)
    errors = ("rmse", "mae", "mean_error", "worst")
    body = [(escape(r["subject"]), count(r["n"]), *(number(r[name], like) for name in errors)) for r in shown]
    note = (
        ""
        if len(shown) == len(rows)
        else f'<p class="quiet">The 12 worst and 12 best of {count(len(rows))}.</p>'
    )
    suffix = f" ({unit})" if unit else ""
    return (
        table(
            ("Subject", "points", f"RMSE{suffix}", "MAE", "mean error", "largest"),
            body,
            numeric=(1, 2, 3, 4, 5),
        )
        + note
    )


def children(run: Collected) -> str:
    rows = [
        (escape(child.name), escape(child.status.get("state", "")), *_child(child)) for child in run.children
    ]
    return table(("Child run", "state", "score", "value", "n"), rows, numeric=(3, 4))


def _child(child: Collected) -> tuple[str, str, str]:
    """Return the headline of a child that was evaluated, else the score that its state was chosen by."""
    score = child.headline
    if score is not None:
        split = SPLITS.get(score.split, score.split)
        return escape(f"{label(score.name)}, {split}"), value(score), count(score.n)
    best = [event for event in child.of("score") if event.get("best")]
    names = [name for name in (best[-1] if best else {}) if "/" in name]
    if not names:
        return "", '<span class="quiet">not evaluated</span>', ""
    return f"{escape(names[0])}, of the state kept", number(float(best[-1][names[0]])), ""


def plain(values: Mapping[str, Any]) -> str:
    """Write a configuration or an environment, flattened: a.b.c = value."""
    return table(("Key", "Value"), [(escape(k), escape(v)) for k, v in _flat(values)], kind="plain")


def _flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for key, inner in values.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{before}{key}.")
        else:
            yield f"{before}{key}", inner
