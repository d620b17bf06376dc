"""Draw the course of training over steps, and predicted curves against true ones over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.evaluate import regression, trajectory
from homeostat.evaluate.predictions import Predictions
from homeostat.report import chart
from homeostat.report.chart import Axes
from homeostat.report.collect import Collected
from homeostat.report.figures import Figure, series
from homeostat.report.words import number

_NOT_SCORES = {"kind", "time", "step", "epoch", "seconds", "best", "learning_rate", "total"}
# More dots than a panel of 300 units can show apart; the page stays small.
MOST_POINTS = 1500


def learning(run: Collected) -> tuple[Figure, ...]:
    """Draw loss and scores over training: those of the run, or those of its children when it did not train itself."""
    fits = (
        [run]
        if run.of("score") or run.of("epoch")
        else [child for child in run.children if child.of("score")]
    )
    if not fits:
        return ()
    names = _score_names(fits)
    losses = [name for name in names if name.split("/")[-1] == "loss"]
    pictures = [_loss(fits, losses)] if losses or any(fit.of("epoch") for fit in fits) else []
    others = [name for name in names if name not in losses]
    return (*pictures, *(_score(fits, name) for name in others[:3]))


def _score_names(fits: Sequence[Collected]) -> list[str]:
    names: dict[str, None] = {}
    for fit in fits:
        for event in fit.of("score"):
            names |= {
                k: None for k, v in event.items() if k not in _NOT_SCORES and isinstance(v, int | float)
            }
    return list(names)


def _over(fit: Collected, kind: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (epochs, values); after a resume the replayed steps count once."""
    per_epoch = next((e.get("steps_per_epoch") for e in fit.of("start")), None)
    # A resume goes back to its checkpoint, so the journal holds some steps twice; the later ones count.
    rows: dict[int, float] = {}
    for event in fit.of(kind):
        value = event.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            rows[int(event.get("step", 0))] = float(value)
    steps = np.array(sorted(rows), float)
    return steps / per_epoch if per_epoch else steps, np.array([rows[int(s)] for s in steps])


def _x_label(fits: Sequence[Collected]) -> str:
    return "epoch" if any(e.get("steps_per_epoch") for fit in fits for e in fit.of("start")) else "step"


def _loss(fits: Sequence[Collected], names: Sequence[str]) -> Figure:
    drawn: list[_Line] = []
    for k, fit in enumerate(fits):
        own = series(k) if len(fits) > 1 else series(0)
        drawn.append(_Line(fit.name, "training", f"{own} thin dashed", *_over(fit, "epoch", "train/loss")))
        drawn += [_Line(fit.name, "validation", own, *_over(fit, "score", name)) for name in names]
    drawn = [one for one in drawn if len(one.x)]
    axes = _axes(fits, drawn, "loss")
    marks = [_mark(axes, one) for one in drawn] + _resumes(axes, fits)
    ends = ", ".join(f"{one.y[0]:.3g} to {one.y[-1]:.3g}" for one in drawn)
    dashed = any("dashed" in one.kind for one in drawn)
    return Figure(
        title="Loss",
        svg=chart.panel(axes, marks, title="Loss over training", described=f"Losses go from {ends}"),
        reading=("The training loss is of the model in training mode." if dashed else "")
        + (" Vertical lines: resumes." if _resumed(fits) else ""),
        key=_key(fits, drawn),
    )


@dataclass(frozen=True)
class _Line:
    """One line of a figure of training."""

    fit: str
    part: str
    kind: str
    x: np.ndarray
    y: np.ndarray

    @property
    def mark(self) -> str:
        """Return the class of its mark. A line through one point is invisible, so that is a dot."""
        return f"line {self.kind}" if len(self.x) > 1 else f"dots {self.kind}"


def _mark(axes: Axes, one: _Line) -> str:
    if len(one.x) > 1:
        return chart.line(axes, one.x, one.y, one.kind)
    return chart.points(axes, one.x, one.y, one.kind, 3.2)


def _key(fits: Sequence[Collected], drawn: Sequence[_Line]) -> tuple[tuple[str, str], ...]:
    """Name every line by what tells it from the others; the lines beyond the last colour share an entry."""
    several = len({one.part for one in drawn}) > 1
    names: dict[str, list[str]] = {}
    for one in drawn:
        words = [one.fit] if len(fits) > 1 else []
        words += [one.part] if several or not words else []
        names.setdefault(one.mark, []).append(", ".join(words))
    return tuple(
        (kind, words[0] if len(words) == 1 else f"{words[0]} and {len(words) - 1} more")
        for kind, words in names.items()
    )


def _score(fits: Sequence[Collected], name: str) -> Figure:
    drawn = [
        _Line(fit.name, "validation", series(k) if len(fits) > 1 else series(0), *_over(fit, "score", name))
        for k, fit in enumerate(fits)
    ]
    kept = {fit.name: _best_step(fit) for fit in fits}
    drawn = [one for one in drawn if len(one.x)]
    axes = _axes(fits, drawn, name)
    marks = [_mark(axes, one) for one in drawn] + _resumes(axes, fits)
    reading = ""
    for one in drawn:
        at = np.flatnonzero(one.x == kept[one.fit])
        if len(at):
            marks.append(chart.points(axes, one.x[at], one.y[at], one.kind, 4.5))
            value = "" if len(fits) > 1 else f": {number(float(one.y[at[0]]))}"
            reading = f"The dot is the state that was kept{value}."
    described = f"Last value {number(float(drawn[0].y[-1]))}" if drawn else "No value"
    return Figure(
        title=name,
        svg=chart.panel(axes, marks, title=name, described=described),
        reading=reading,
        key=_key(fits, drawn),
    )


def _best_step(fit: Collected) -> float | None:
    """Return the place of the best score, in the units of the x axis."""
    per_epoch = next((e.get("steps_per_epoch") for e in fit.of("start")), None)
    best = [event for event in fit.of("score") if event.get("best")]
    if not best:
        return None
    step = float(best[-1].get("step", 0))
    return step / per_epoch if per_epoch else step


def _axes(fits: Sequence[Collected], drawn: Sequence[_Line], label: str) -> Axes:
    x = np.concatenate([one.x for one in drawn]) if drawn else np.zeros(1)
    y = np.concatenate([one.y for one in drawn]) if drawn else np.zeros(1)
    return Axes(
        x=chart.spanning(x, pad=0.02, floor=0.0), y=chart.spanning(y), x_label=_x_label(fits), y_label=label
    )


def _resumed(fits: Sequence[Collected]) -> bool:
    return len(fits) == 1 and bool(fits[0].of("resume"))


def _resumes(axes: Axes, fits: Sequence[Collected]) -> list[str]:
    if len(fits) > 1:
        return []
    per_epoch = next((e.get("steps_per_epoch") for e in fits[0].of("start")), None) or 1
    return [chart.vertical(axes, float(e.get("step", 0)) / per_epoch, "grid") for e in fits[0].of("resume")]


def regression_figures(main: Predictions, rivals: Sequence[Predictions]) -> tuple[Figure, ...]:
    """Draw predicted against true, and the curves of single subjects where there are any."""
    figures: list[Figure] = []
    for name in main.names[:3]:
        own = main.one(name)
        figures.append(against(own))
        if own.time is not None:
            figures += subjects(own, [p.one(name) for p in rivals])
    return tuple(figures)


def against(p: Predictions) -> Figure:
    """Draw predicted against true; at most MOST_POINTS points, evenly taken."""
    rows = np.unique(np.linspace(0, len(p) - 1, min(len(p), MOST_POINTS)).astype(int))
    both = chart.spanning([p.truth, p.output])
    unit = f" ({p.unit})" if p.unit else ""
    axes = Axes(x=both, y=both, x_label=f"true {p.names[0]}{unit}", y_label=f"predicted{unit}")
    marks = [
        chart.line(axes, both, both, "trivial"),
        chart.points(
            axes, p.truth[rows], p.output[rows], f"{series(0)} faint", 2.0 if len(rows) > 200 else 3.0
        ),
    ]
    correlation = (
        float(np.corrcoef(p.truth, p.output)[0, 1]) if p.truth.std() > 0 and p.output.std() > 0 else 0.0
    )
    shown = f" {len(rows):,} of {len(p):,} points." if len(rows) < len(p) else ""
    return Figure(
        title=f"Predicted against true: {p.names[0]}",
        svg=chart.panel(
            axes, marks, title="Predicted against true", described=f"Correlation {number(correlation)}"
        ),
        reading=f"Above the dotted line the prediction is too high.{shown}",
        key=((f"dots {series(0)} faint", p.model), ("line trivial", "right")),
    )


def subjects(p: Predictions, rivals: Sequence[Predictions], most: int = 6) -> list[Figure]:
    """Draw the curves of the best, middle and worst subjects, so that nobody sees only the flattering ones."""
    ranked = [row.subject for row in regression.per_subject(p)]
    if len(ranked) == len(p):
        return []
    places = np.unique(np.linspace(0, len(ranked) - 1, min(most, len(ranked))).astype(int))
    chosen = [ranked[k] for k in places]
    curves = {curve.subject: curve for curve in trajectory.curves(p)}
    others = [{curve.subject: curve for curve in trajectory.curves(q)} for q in rivals[:2]]
    # One scale for all subjects, or the worst would look like the best.
    span = chart.spanning([value for name in chosen for value in (*curves[name].truth, *curves[name].output)])
    figures = []
    for place, name in zip(places, chosen, strict=True):
        rank = "worst" if place == 0 else "best" if place == len(ranked) - 1 else f"rank {place + 1}"
        rank += f" of {len(ranked)}"
        figures.append(
            _subject(p, curves[name], [other[name] for other in others if name in other], rivals, span, rank)
        )
    return figures


def _subject(
    p: Predictions,
    curve: trajectory.Curve,
    rivals: Sequence[trajectory.Curve],
    named: Sequence[Predictions],
    span: tuple[float, float],
    rank: str,
) -> Figure:
    unit = f" ({p.unit})" if p.unit else ""
    time = f"time ({p.time_unit})" if p.time_unit else "time"
    axes = Axes(
        x=chart.spanning(curve.time, pad=0.02),
        y=span,
        x_label=time,
        y_label=f"{p.names[0]}{unit}",
        height=220,
    )
    marks = [chart.points(axes, curve.time, curve.truth, "truth", 1.8 if len(curve.time) > 60 else 2.6)]
    marks += [
        chart.line(axes, rival.time, rival.output, f"{series(k + 1)} thin") for k, rival in enumerate(rivals)
    ]
    marks.append(chart.line(axes, curve.time, curve.output, series(0)))
    key: Mapping[str, str] = {"dots truth": "observed", f"line {series(0)}": p.model} | {
        f"line {series(k + 1)} thin": q.model for k, q in enumerate(named[: len(rivals)])
    }
    return Figure(
        title=f"{curve.subject}, {rank}",
        svg=chart.panel(
            axes, marks, title=f"Subject {curve.subject}", described=f"RMSE {number(curve.rmse)}"
        ),
        reading=f"RMSE {number(curve.rmse)}{unit}, {len(curve.time):,} points.",
        key=tuple(key.items()),
    )
