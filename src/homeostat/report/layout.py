"""Lay out the parts of a page: a section with its title, and figures side by side with their keys."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.report import chart
from homeostat.report.figures import Figure
from homeostat.report.words import escape, short


def section(title: str, body: str, intro: str = "") -> str:
    """Write a section; one without a body is left out."""
    lead = f'<p class="quiet">{escape(intro)}</p>' if intro else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{body}</section>\n" if body else ""


def gallery(drawn: Sequence[Figure]) -> str:
    """Put figures side by side, as many as fit."""
    return f'<div class="gallery">{"".join(map(_figure, drawn))}</div>' if drawn else ""


def _figure(figure: Figure) -> str:
    return (
        f"<figure><h3>{escape(short(figure.title))}</h3>{figure.svg}{chart.key(figure.key)}"
        f"<figcaption>{escape(figure.reading)}</figcaption></figure>"
    )
