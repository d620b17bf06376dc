"""Draw the course of training over steps, and predicted curves against true ones over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    lines = []
    for k, fit in enumerate(fits):
        own = series(k if len(fits) > 1 else 0)
        lines.append((*_over(fit, "epoch", "train/loss"), f"{own} thin dashed"))
        lines += [(*_over(fit, "score", name), own) for name in names]
    lines = [one for one in lines if len(one[0])]
    axes = _axes(fits, lines, "loss")
    marks = [chart.line(axes, x, y, kind) for x, y, kind in lines] + _resumes(axes, fits)
    key: tuple[tuple[str, str], ...] = (("s0 dashed", "training"), ("s0", "validation")) if names else ()
    if len(fits) > 1:
        key = tuple((series(k), fit.name) for k, fit in enumerate(fits[:6]))
    ends = ", ".join(f"{y[0]:.3g} to {y[-1]:.3g}" for _, y, _ in lines)
    return Figure(
        title="Loss",
        svg=chart.panel(axes, marks, title="Loss over training", described=f"Losses go from {ends}"),
        reading="Dashed: on training data, with the model in training mode."
        + (" Vertical lines: resumes." if _resumed(fits) else ""),
        key=key,
    )


def _score(fits: Sequence[Collected], name: str) -> Figure:
    lines = [(*_over(fit, "score", name), series(k if len(fits) > 1 else 0)) for k, fit in enumerate(fits)]
    lines = [one for one in lines if len(one[0])]
    axes = _axes(fits, lines, name)
    marks = [chart.line(axes, x, y, kind) for x, y, kind in lines] + _resumes(axes, fits)
    reading = ""
    for fit, (x, y, kind) in zip(fits, lines, strict=False):
        best = _best_step(fit)
        at = np.flatnonzero(x == best) if best is not None else np.array([], int)
        if len(at):
            marks.append(chart.points(axes, x[at], y[at], kind, 4.5))
            reading = f"The dot is the state that was kept{'' if len(fits) > 1 else f': {number(float(y[at[0]]))}'}."
    key = tuple((series(k), fit.name) for k, fit in enumerate(fits[:6])) if len(fits) > 1 else ()
    described = f"Last value {number(float(lines[0][1][-1]))}" if lines else "No value"
    return Figure(
        title=name, svg=chart.panel(axes, marks, title=name, described=described), reading=reading, key=key
    )


def _best_step(fit: Collected) -> float | None:
    """Return the place of the best score, in the units of the x axis."""
    per_epoch = next((e.get("steps_per_epoch") for e in fit.of("start")), None)
    best = [event for event in fit.of("score") if event.get("best")]
    if not best:
        return None
    step = float(best[-1].get("step", 0))
    return step / per_epoch if per_epoch else step


def _axes(fits: Sequence[Collected], lines: Sequence[tuple[Any, Any, str]], label: str) -> Axes:
    x = np.concatenate([one[0] for one in lines]) if lines else np.zeros(1)
    y = np.concatenate([one[1] for one in lines]) if lines else np.zeros(1)
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


def observed(p: Predictions, most_subjects: int = 3, most_series: int = 4) -> tuple[Figure, ...]:
    """Draw a model's series of some subjects against the measurements; for each, the series measured most often."""
    if p.time is None or p.kind != "regression":
        return ()
    figures: list[Figure] = []
    for subject in dict.fromkeys(p.subjects.tolist()):
        rows = np.flatnonzero(p.subjects == subject)
        rows = rows[np.argsort(p.time[rows], kind="stable")]
        counts = np.isfinite(p.targets[rows]).sum(axis=0)
        columns = [k for k in np.argsort(-counts, kind="stable")[:most_series] if counts[k]]
        figures += [_observed(p, str(subject), rows, int(k)) for k in columns]
        if len(figures) >= most_subjects * most_series:
            break
    return tuple(figures)


def _observed(p: Predictions, subject: str, rows: np.ndarray, column: int) -> Figure:
    assert p.time is not None  # the caller looked
    time, truth, output = p.time[rows], p.targets[rows, column], p.outputs[rows, column]
    axes = Axes(
        x=chart.spanning(time, pad=0.02),
        y=chart.spanning([truth, output]),
        x_label=f"time ({p.time_unit})" if p.time_unit else "time",
        y_label=p.names[column],
        height=200,
    )
    marks = [chart.line(axes, time, output, series(0)), chart.points(axes, time, truth, "truth")]
    seen = int(np.isfinite(truth).sum())
    return Figure(
        title=f"{subject}: {p.names[column]}",
        svg=chart.panel(
            axes, marks, title=f"{p.names[column]} of {subject}", described=f"{seen} observations"
        ),
        reading=f"{seen} observations.",
        key=(("truth dot", "observed"), (series(0), p.model)),
    )


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
        reading=f"On the dotted line the prediction is right.{shown}",
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
    key: Mapping[str, str] = {"truth dot": "observed", series(0): p.model} | {
        series(k + 1): q.model for k, q in enumerate(named[: len(rivals)])
    }
    return Figure(
        title=f"{curve.subject}, {rank}",
        svg=chart.panel(
            axes, marks, title=f"Subject {curve.subject}", described=f"RMSE {number(curve.rmse)}"
        ),
        reading=f"RMSE {number(curve.rmse)}{unit}, {len(curve.time):,} points.",
        key=tuple(key.items()),
    )
