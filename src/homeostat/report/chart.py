"""Draw axes, lines, bands and points as SVG whose colours follow the page's light or dark.

SVG needs no library, no font and no network; it is sharp at every size, and a test can read the place of a mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homeostat.report.words import MINUS, escape, short

WIDTH, HEIGHT = 360, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 40
"""A panel is 360 units wide, as a phone is: text keeps its size there and on paper."""
LABEL_ALONG, LABEL_UP = 46, 32
"""Letters that fit along the bottom of a panel, and up its side."""


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The map from data coordinates to places on a panel."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str
    width: int = WIDTH
    height: int = HEIGHT

    def px(self, x: ArrayLike) -> NDArray[np.float64]:
        share = (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0])
        return np.asarray(LEFT + share * (self.width - LEFT - RIGHT), float)

    def py(self, y: ArrayLike) -> NDArray[np.float64]:
        share = (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0])
        return np.asarray(self.height - BOTTOM - share * (self.height - TOP - BOTTOM), float)


def spanning(values: ArrayLike, *, pad: float = 0.04, floor: float | None = None) -> tuple[float, float]:
    """Return a range that holds all finite values with a little room."""
    array = np.asarray(values, float).ravel()
    array = array[np.isfinite(array)]
    if not len(array):
        return 0.0, 1.0
    low, high = float(array.min()), float(array.max())
    room = (high - low) * pad or abs(high) * pad or 1.0
    return (low - room if floor is None else min(floor, low), high + room)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten) inside the range."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    # The slack of a thousandth, and of 1e-9 below, keeps rounding from dropping a tick that lies on an end.
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def panel(axes: Axes, marks: Sequence[str], *, title: str, described: str) -> str:
    """Finish a figure; a screen reader speaks its title and `described`."""
    body = "".join([_grid(axes), *marks])
    spoken = f"{escape(title)}. {escape(described)}"
    return f'<svg viewBox="0 0 {axes.width} {axes.height}" role="img" aria-label="{spoken}">{body}</svg>'


def key(entries: Sequence[tuple[str, str]]) -> str:
    """Write the legend: the class of each mark with its meaning. A sample of that class looks as the mark does."""
    items = "".join(f"<li>{sample(kind)}{escape(short(words))}</li>" for kind, words in entries)
    return f'<ul class="key">{items}</ul>' if items else ""


def sample(kind: str) -> str:
    """Draw a short piece of a line, a dot or a patch of a band, as the panel draws it."""
    shape = {"dots": 'stroke-width="6" d="M13 5h0"', "band": 'd="M1 1H25V9H1Z"'}.get(
        kind.split()[0], 'd="M0 5H26"'
    )
    return f'<svg class="sample" viewBox="0 0 26 10" aria-hidden="true"><path class="{kind}" {shape}/></svg>'


def line(axes: Axes, x: ArrayLike, y: ArrayLike, kind: str, *, step: bool = False) -> str:
    """Draw a line through the finite points; gaps stay gaps."""
    px, py = axes.px(x), axes.py(y)
    parts, pen_up = [], True
    previous = 0.0
    for a, b in zip(px, py, strict=True):
        if not (np.isfinite(a) and np.isfinite(b)):
            pen_up = True
            continue
        if pen_up:
            parts.append(f"M{a:.1f} {b:.1f}")
        elif step:
            parts.append(f"L{a:.1f} {previous:.1f}L{a:.1f} {b:.1f}")
        else:
            parts.append(f"L{a:.1f} {b:.1f}")
        pen_up, previous = False, float(b)
    return f'<path class="line {kind}" d="{"".join(parts)}"/>'


def band(axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> str:
    px = axes.px(x)
    upper = [f"{a:.1f} {b:.1f}" for a, b in zip(px, axes.py(high), strict=True)]
    lower = [f"{a:.1f} {b:.1f}" for a, b in zip(px[::-1], axes.py(low)[::-1], strict=True)]
    return f'<path class="band {kind}" d="M{"L".join(upper + lower)}Z"/>'


def points(axes: Axes, x: ArrayLike, y: ArrayLike, kind: str, radius: float = 2.4) -> str:
    """Draw dots as one path: a thousand of them cost no more than a line."""
    # A stroke of no length (h0) is a dot, because the caps of strokes are round in style.css.
    px, py = axes.px(x), axes.py(y)
    dots = "".join(
        f"M{a:.1f} {b:.1f}h0" for a, b in zip(px, py, strict=True) if np.isfinite(a) and np.isfinite(b)
    )
    return f'<path class="dots {kind}" stroke-width="{2 * radius:.1f}" d="{dots}"/>'


def bars(axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> str:
    """Draw vertical intervals."""
    px, bottom, top = axes.px(x), axes.py(low), axes.py(high)
    path = "".join(f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in zip(px, bottom, top, strict=True))
    return f'<path class="line thin {kind}" d="{path}"/>'


def columns(axes: Axes, edges: ArrayLike, heights: ArrayLike, kind: str) -> str:
    """Draw a histogram."""
    left, base, top = axes.px(edges), float(axes.py(axes.y[0])), axes.py(heights)
    path = "".join(
        f"M{a:.1f} {base:.1f}V{t:.1f}H{b:.1f}V{base:.1f}Z"
        for a, b, t in zip(left[:-1], left[1:], top, strict=True)
    )
    return f'<path class="band {kind}" d="{path}"/>'


def vertical(axes: Axes, x: float, kind: str) -> str:
    a = float(axes.px(x))
    return f'<path class="line {kind}" d="M{a:.1f} {TOP}V{axes.height - BOTTOM}"/>'


def text(axes: Axes, x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    a, b = float(axes.px(x)), float(axes.py(y))
    return f'<text class="{kind}" x="{a:.1f}" y="{b:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def tick_text(value: float) -> str:
    # Ten digits: 0.1 + 0.2 must not be written with sixteen.
    shown = f"{value:.10g}" if abs(value) < 10_000 else f"{value / 1000:g}k"
    return shown.replace("-", MINUS)


def _grid(axes: Axes) -> str:
    bottom, right = axes.height - BOTTOM, axes.width - RIGHT
    parts = []
    for value in ticks(*axes.y):
        y = float(axes.py(value))
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{tick_text(value)}</text>'
        )
    for value in ticks(*axes.x):
        x = float(axes.px(value))
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick_text(value)}</text>'
        )
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    middle, along = (LEFT + right) / 2, escape(short(axes.x_label, LABEL_ALONG))
    parts.append(
        f'<text class="name" x="{middle:.0f}" y="{axes.height - 6}" text-anchor="middle">{along}</text>'
    )
    height = (TOP + bottom) / 2
    parts.append(
        f'<text class="name" transform="translate(10 {height:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(short(axes.y_label, LABEL_UP * axes.height // HEIGHT))}</text>"
    )
    return "".join(parts)
