"""Draw the courses of single subjects, each below what the model said about it and what happened."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from homeostat.evaluate.predictions import Predictions
from homeostat.report import chart
from homeostat.report.chart import Axes
from homeostat.report.collect import Collected
from homeostat.report.figures import Figure, series
from homeostat.report.layout import gallery, section
from homeostat.report.words import count, escape, number, short

MOST_SUBJECTS, MOST_SERIES = 4, 4


def courses(run: Collected) -> str:
    """Draw the series that a recipe left beside its predictions, subject by subject."""
    body = "".join(
        f'<div class="subject"><h3>{escape(short(subject))}</h3>{_facts(run, subject)}{gallery(drawn)}</div>'
        for p in run.curves
        for subject, drawn in observed(p).items()
    )
    return section("Some subjects", body, "They were not chosen by how well the model fits them.")


def observed(
    p: Predictions, most_subjects: int = MOST_SUBJECTS, most_series: int = MOST_SERIES
) -> Mapping[str, tuple[Figure, ...]]:
    """Draw a model's series of some subjects against the measurements; for each, the series measured most often."""
    if p.time is None or p.kind != "regression":
        return {}
    drawn: dict[str, tuple[Figure, ...]] = {}
    for subject in list(dict.fromkeys(p.subjects.tolist()))[:most_subjects]:
        rows = np.flatnonzero(p.subjects == subject)
        rows = rows[np.argsort(p.time[rows], kind="stable")]
        counts = np.isfinite(p.targets[rows]).sum(axis=0)
        columns = [int(k) for k in np.argsort(-counts, kind="stable")[:most_series] if counts[k]]
        drawn[str(subject)] = tuple(_observed(p, str(subject), rows, column) for column in columns)
    return drawn


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
        title=p.names[column],
        svg=chart.panel(
            axes, marks, title=f"{p.names[column]} of {subject}", described=count(seen, "observation")
        ),
        reading=f"{count(seen, 'observation')}.",
        key=(("dots truth", "observed"), (f"line {series(0)}", p.model)),
    )


def _facts(run: Collected, subject: str) -> str:
    """Say the predicted risk, what happened, and to which groups the subject belongs, as the predictions hold them."""
    place = run.place(subject)
    if place is None:
        return ""
    main, row = place
    name = main.names[0]
    risk, truth = float(main.outputs[row, 0]), float(main.targets[row, 0])
    cut = run.metrics.get("thresholds", {}).get(name)
    against = ""
    if cut is not None:
        side = "at or above" if risk >= cut["value"] else "below"
        against = f", {side} the threshold {number(cut['value'])}"
    happened = "not known" if np.isnan(truth) else name if truth else f"no {name}"
    groups = [f"{group}: {values[row]}" for group, values in main.groups.items()]
    facts = [f"Predicted risk of {name}: {number(risk)}{against}", f"outcome: {happened}", *groups]
    return f'<p class="facts">{" · ".join(map(escape, facts))}</p>'
