"""Draw scores as a forest: a row each, its interval on an axis with numbers that all rows share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from homeostat.evaluate.score import Score
from homeostat.report import chart, tables
from homeostat.report.words import count, escape, label, number, short


@dataclass(frozen=True)
class Scale:
    """The axis that the rows of a forest share; places are shares of its width, so that text is never stretched."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float | None]) -> Scale:
        """Return an axis over all finite values, with a little room."""
        ends = [value for value in values if value is not None and math.isfinite(value)]
        low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
        room = (high - low) * 0.06 or 0.5
        return cls(low - room, high + room)

    def place(self, value: float) -> str:
        """Return the place of a value, as "41.7%"."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"


def forest(rows: Sequence[tuple[str, Score]], *, reference: float | None, dotted: str, what: str) -> str:
    """Draw one row per model, subgroup or target: n, interval as a line, number; `dotted` names the reference."""
    estimable = [score for _, score in rows if score.value is not None]
    scale = Scale.over([reference, *(v for s in estimable for v in (s.low, s.high, s.value))])
    like = tables.smallest(estimable)
    with_events = any(score.events is not None for _, score in rows)
    name = label(rows[0][1].name) if rows else ""
    head = (what, "n", *(["events"] if with_events else []), "", name)
    body = []
    for title, s in rows:
        events = ["" if s.events is None else count(s.events)] if with_events else []
        size = "" if s.n == 0 else count(s.n)
        drawn = whisker(scale, s.value, s.low, s.high, reference)
        body.append((escape(short(title)), size, *events, drawn, tables.value(s, like)))
    place = len(head) - 2
    foot = [axis(scale, name) if column == place else "" for column in range(len(head))]
    level = next((f"{score.level:.0%} interval" for score in estimable if score.low is not None), "")
    key = [("line s0", level)] if level else []
    if reference is not None:
        key.append(("line trivial", f"{dotted}: {number(reference, like)}"))
    numeric = (*range(1, place), place + 1)
    return tables.table(head, body, numeric=numeric, kind="forest", foot=[foot]) + chart.key(key)


def whisker(
    scale: Scale, value: float | None, low: float | None, high: float | None, reference: float | None
) -> str:
    """Draw one row: the reference, the interval and the value."""
    parts = []
    if reference is not None:
        x = scale.place(reference)
        parts.append(f'<line class="line trivial" x1="{x}" x2="{x}" y1="0" y2="100%"/>')
    if low is not None and high is not None:
        ends = f'x1="{scale.place(low)}" x2="{scale.place(high)}"'
        parts.append(f'<line class="line s0" {ends} y1="50%" y2="50%"/>')
    if value is not None:
        parts.append(f'<circle class="mark s0" cx="{scale.place(value)}" cy="50%" r="3.5"/>')
    return f'<svg class="whisker" aria-hidden="true">{"".join(parts)}</svg>'


def axis(scale: Scale, name: str) -> str:
    """Draw the axis below the last row."""
    values = chart.ticks(scale.low, scale.high, 5)
    marks = "".join(
        f'<line class="axis" x1="{x}" x2="{x}" y1="0" y2="4"/>'
        f'<text class="tick" x="{x}" y="15" text-anchor="middle">{chart.tick_text(value)}</text>'
        for value, x in ((value, scale.place(value)) for value in values)
    )
    line = '<line class="axis" x1="0" x2="100%" y1="0.5" y2="0.5"/>'
    return f'<svg class="scale" role="img" aria-label="Axis: {escape(name)}">{line}{marks}</svg>'
