"""A picture of a run shows itself in a notebook, and its style reaches nothing outside of it."""

from __future__ import annotations

import re
from pathlib import Path

from homeostat.report.notebook import plot
from homeostat.run import create


def test_a_run_is_drawn_as_far_as_it_is(tmp_path: Path) -> None:
    run = create(tmp_path / "a", {"recipe": ""})
    assert "Nothing to draw yet." in plot(run)._repr_html_()
    with run.active():
        run.journal("start", step=0, total=10, steps_per_epoch=5)
        for step, loss in ((5, 2.0), (10, 1.0)):
            run.journal("score", step=step, epoch=step // 5, **{"valid/mse": loss})
        run.flush()
        drawn = plot(run)._repr_html_()
    assert "<svg" in drawn
    assert "valid/mse" in drawn
    assert plot(run.folder).html == drawn
    assert plot(str(run.folder)).save(tmp_path / "a.html").read_text().count("<svg") == drawn.count("<svg")


def test_the_style_holds_inside_of_the_picture_alone(tmp_path: Path) -> None:
    """Every rule stands in the block of one class, so that a notebook keeps its own look."""
    drawn = plot(create(tmp_path / "a", {})).html
    (style,) = re.findall(r"<style>(.*?)</style>", drawn, flags=re.DOTALL)
    assert style.startswith(".homeostat {")
    depth = [
        style[: place.start()].count("{") - style[: place.end()].count("}")
        for place in re.finditer("}", style)
    ]
    assert depth[-1] == 0
    assert all(level > 0 for level in depth[:-1])
    assert ":root" not in style
