"""Draw a binary prediction: ROC, precision and recall, reliability, net benefit, risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.evaluate import calibration, decision, weighted
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import too_few
from homeostat.evaluate.threshold import Threshold, operating_points
from homeostat.report import chart
from homeostat.report.chart import Axes
from homeostat.report.words import number


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture with its name, its key and a sentence that tells how to read it."""

    title: str
    svg: str
    reading: str
    key: tuple[tuple[str, str], ...] = ()
    """Pairs of (class of the mark, words): every line, dot and patch that is drawn has its entry."""


UNIT = (0.0, 1.0)


def series(k: int) -> str:
    """Return the class of the k-th model: 0 is the run's own."""
    return f"s{min(k, 5)}"


def drawable(p: Predictions) -> bool:
    positives = int(p.truth.sum())
    return not too_few(positives, len(p) - positives)


def binary(main: Predictions, rivals: Sequence[Predictions], cut: Threshold | None) -> tuple[Figure, ...]:
    """Draw all pictures of one binary target."""
    models = [main.one(main.names[0]), *(p.one(p.names[0]) for p in rivals)]
    if not drawable(models[0]):
        return ()
    return (
        roc(models, cut),
        precision_recall(models),
        reliability(models[0]),
        net_benefit(models),
        risks(models[0], cut),
    )


def roc(models: Sequence[Predictions], cut: Threshold | None) -> Figure:
    axes = Axes(x=UNIT, y=UNIT, x_label="1 − specificity (false alarms)", y_label="sensitivity")
    marks = [chart.line(axes, UNIT, UNIT, "trivial")]
    # The run's own model is drawn last, so that no yard-stick covers it.
    for k, p in reversed(list(enumerate(models))):
        _, sensitivity, specificity = operating_points(p)
        marks.append(chart.line(axes, *_thinned(1 - specificity, sensitivity), series(k)))
    reading = "Up and left is better."
    if cut is not None:
        called, truth = cut(models[0].output), models[0].truth
        x, y = called[truth == 0].mean(), called[truth == 1].mean()
        marks.append(chart.points(axes, [x], [y], series(0), 4.5))
        reading += f" The dot is the threshold {number(cut.value)}."
    areas = [(p.model, weighted.value(weighted.auroc(p.truth, p.output), len(p))) for p in models]
    described = "; ".join(f"{name} has AUROC {number(area)}" for name, area in areas)
    key = tuple((f"line {series(k)}", f"{name} {number(area)}") for k, (name, area) in enumerate(areas))
    return Figure(
        title="Ranking: ROC",
        svg=chart.panel(axes, marks, title="ROC", described=described),
        reading=reading,
        key=(*key, ("line trivial", "guessing")),
    )


def precision_recall(models: Sequence[Predictions]) -> Figure:
    axes = Axes(x=UNIT, y=UNIT, x_label="recall (share of positives found)", y_label="precision")
    prevalence = float(models[0].truth.mean())
    marks = [chart.line(axes, UNIT, (prevalence, prevalence), "trivial")]
    areas: list[tuple[str, float]] = []
    for k, p in reversed(list(enumerate(models))):
        cuts, recall, _ = operating_points(p)
        # How many lie at or above each cut, ties included, as `operating_points` counts.
        called = np.searchsorted(np.sort(-p.output), -cuts, side="right")
        precision = recall[1:] * p.truth.sum() / called[1:]
        # In steps: precision does not rise linearly between two thresholds (Davis and Goadrich 2006).
        marks.append(chart.line(axes, *_thinned(recall[1:], precision), series(k), step=True))
        areas.insert(0, (p.model, weighted.value(weighted.auprc(p.truth, p.output), len(p))))
    described = "; ".join(f"{name} has average precision {number(area)}" for name, area in areas)
    return Figure(
        title="Alarms that are right: precision and recall",
        svg=chart.panel(axes, marks, title="Precision and recall", described=described),
        reading="Up and right is better.",
        key=(
            *((f"line {series(k)}", f"{name} {number(area)}") for k, (name, area) in enumerate(areas)),
            ("line trivial", f"prevalence {number(prevalence)}"),
        ),
    )


def reliability(p: Predictions) -> Figure:
    bins = calibration.reliability(p)
    top = min(1.0, 1.15 * max(max(b.high for b in bins), max(b.output for b in bins)))
    # The same scale on both axes, or the diagonal would not be a diagonal.
    axes = Axes(x=(0, top), y=(0, top), x_label="predicted probability", y_label="share that happened")
    output, rate = [b.output for b in bins], [b.rate for b in bins]
    marks = [
        chart.line(axes, (0, top), (0, top), "trivial"),
        chart.bars(axes, output, [b.low for b in bins], [min(top, b.high) for b in bins], series(0)),
        chart.line(axes, output, rate, f"{series(0)} thin"),
        chart.points(axes, output, rate, series(0), 3.2),
    ]
    worst = max(bins, key=lambda b: abs(b.rate - b.output))
    return Figure(
        title="Honesty of the probabilities: reliability",
        svg=chart.panel(
            axes,
            marks,
            title="Reliability",
            described=f"The largest gap is where {number(worst.output)} was said and {number(worst.rate)} happened",
        ),
        reading=f"Below the dotted line the probabilities are too high. {len(bins)} bins of equal size.",
        key=(
            (f"dots {series(0)}", p.model),
            (f"line thin {series(0)}", "95 % interval"),
            ("line trivial", "right"),
        ),
    )


def net_benefit(models: Sequence[Predictions]) -> Figure:
    curves = [decision.curve(p) for p in models]
    own = curves[0]
    # No net benefit exceeds the share of positives.
    ceiling = float(models[0].truth.mean())
    shown = own.threshold <= max(
        0.1, float(own.threshold[own.high > 0.002 * ceiling].max(initial=0.1)) + 0.03
    )
    x = own.threshold[shown]
    # The band and the model's own curve are never cut; "treat everybody" and bad yard-sticks may plunge out of sight.
    lowest = np.concatenate([own.low[shown], own.model[shown], [-0.15 * ceiling]])
    axes = Axes(
        x=(0, float(x.max())),
        y=(1.04 * float(lowest.min()), 1.04 * max(ceiling, float(own.high[shown].max()))),
        x_label="threshold probability",
        y_label="net benefit",
    )

    def inside(curve: np.ndarray) -> np.ndarray:
        return np.where(curve >= axes.y[0], curve, np.nan)[shown]

    marks = [
        chart.line(axes, axes.x, (0, 0), "trivial"),
        chart.line(axes, x, inside(own.everybody), "trivial dashed"),
        chart.band(axes, x, own.low[shown], own.high[shown], series(0)),
    ]
    for k, curve in reversed(list(enumerate(curves))):
        marks.append(chart.line(axes, x, inside(curve.model), series(k)))
    useful = own.useful()
    described = "Nowhere surely better than treating everybody or nobody"
    if useful:
        described = f"Surely better than treating everybody or nobody from {useful[0]:.2f} to {useful[1]:.2f}"
    return Figure(
        title="Worth of acting on it: net benefit",
        svg=chart.panel(axes, marks, title="Decision curve", described=described),
        reading=f"{described}. The threshold says how many false alarms one missed case is worth.",
        key=(
            *((f"line {series(k)}", p.model) for k, p in enumerate(models)),
            (f"band {series(0)}", f"95 % interval of {models[0].model}"),
            ("line trivial dashed", "treat everybody"),
            ("line trivial", "treat nobody"),
        ),
    )


def risks(p: Predictions, cut: Threshold | None) -> Figure:
    """Draw the outputs of the positives and of the negatives, each as a share of its class."""
    edges = np.linspace(0, 1, 26)
    # As shares: with one positive in seven, counts would hide the positives.
    heights = [np.histogram(p.output[p.truth == y], edges)[0] / (p.truth == y).sum() for y in (0, 1)]
    axes = Axes(
        x=UNIT,
        y=(0, 1.08 * float(np.max(heights))),
        x_label="predicted probability",
        y_label="share of the class",
    )
    marks = [
        chart.columns(axes, edges, heights[0], "no"),
        chart.columns(axes, edges, heights[1], series(0)),
        chart.line(axes, edges, [*heights[1], heights[1][-1]], f"{series(0)} thin", step=True),
        *([chart.vertical(axes, cut.value, "trivial dashed")] if cut else []),
    ]
    medians = [float(np.median(p.output[p.truth == y])) for y in (0, 1)]
    return Figure(
        title="How far apart are they: risks",
        svg=chart.panel(
            axes,
            marks,
            title="Risks by outcome",
            described=f"Median {number(medians[1])} where it happened, {number(medians[0])} where it did not",
        ),
        reading=f"Median risk {number(medians[1])} where it happened, {number(medians[0])} where it did not.",
        key=(
            (f"band {series(0)}", "it happened"),
            ("band no", "it did not"),
            *((("line trivial dashed", f"threshold {number(cut.value)}"),) if cut else ()),
        ),
    )


def _thinned(x: np.ndarray, y: np.ndarray, keep: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most `keep` points, evenly along the curve: a panel cannot show more."""
    if len(x) <= keep:
        return x, y
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    rows = np.unique(np.searchsorted(along, np.linspace(0, along[-1], keep)))
    return x[rows], y[rows]
