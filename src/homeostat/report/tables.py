"""Put numbers side by side: tables of scores, each number with its interval drawn beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from homeostat.evaluate.score import Score
from homeostat.report.collect import Collected
from homeostat.report.words import SPLITS, count, escape, interval, label, number, p_values, short

ROUGH = "the interval is rough"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Sequence[int] = (),
    kind: str = "",
    foot: Sequence[Sequence[str]] = (),
) -> str:
    """Write a table whose cells are HTML already; `numeric` columns line up at the right.

    Each cell holds the name of its column: on a phone a row becomes a list, and no column is cut off.
    """
    classes = ["n" if column in numeric else "" for column in range(len(head))]
    names = [escape(short(cell)) for cell in head]
    top = "".join(f'<th scope="col" class="{c}">{cell}</th>' for c, cell in zip(classes, names, strict=True))
    body = "".join(_row(classes, names, row) for row in rows)
    below = f"<tfoot>{''.join(_row(classes, names, row) for row in foot)}</tfoot>" if foot else ""
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody>{below}'
        "</table></div>"
    )


def _row(classes: Sequence[str], names: Sequence[str], cells: Sequence[str]) -> str:
    first, *rest = zip(classes, names, cells, strict=True)
    inner = "".join(f'<td class="{c}" data-head="{name}">{cell}</td>' for c, name, cell in rest)
    return f'<tr><th scope="row" class="{first[0]}">{first[2]}</th>{inner}</tr>'


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
        title = (
            f"{escape(short(target))}: {escape(label(name))}" if several and target else escape(label(name))
        )
        way = {"higher": "↑", "lower": "↓"}.get(first.better, "")
        arrow = f' <span class="way" title="{escape(first.better)} is better">{way}</span>' if way else ""
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


def comparisons(run: Collected) -> str:
    """List differences to the yard-sticks, without the note on one training each: the first screen has it."""
    rows = [
        (
            f"{escape(short(c['a']))} − {escape(short(c['b']))}<br>{_quiet(c['method'])}",
            escape(label(c["score"])),
            number(c["difference"], max(abs(c["low"]), abs(c["high"]))),
            interval(c["low"], c["high"]),
            p_values(c["p"], c.get("holm")),
        )
        for c in run.metrics.get("comparisons", ())
    ]
    head = ("Difference", "in", "value", "95 % interval", "p")
    return table(head, rows, numeric=(2, 3, 4), kind="scores") if rows else ""


def subjects(rows: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Write the table of subjects, worst first; the middle of a long one is left to metrics.json."""
    shown = list(rows) if len(rows) <= 24 else [*rows[:12], *rows[-12:]]
    like = min((r["rmse"] for r in shown if r["rmse"] >= 0.002), default=None)
    errors = ("rmse", "mae", "mean_error", "worst")
    body = [
        (escape(short(str(r["subject"]))), count(r["n"]), *(number(r[name], like) for name in errors))
        for r in shown
    ]
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
        (escape(short(child.name)), escape(child.status.get("state", "")), *_child(child))
        for child in run.children
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
