"""Pictures of a run for a notebook: how training went, and how the predictions compare with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from homeostat.report import sections
from homeostat.report.collect import collect
from homeostat.run import Run, open_run


@dataclass(frozen=True)
class Picture:
    """HTML with SVG inside, which Jupyter shows when it is the last value of a cell."""

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: Path | str) -> Path:
        """Write a page that any browser shows."""
        file = Path(path)
        file.write_text(f'<!doctype html>\n<meta charset="utf-8">\n{self.html}\n', encoding="utf-8")
        return file


def plot(run: Run | Path | str) -> Picture:
    """Draw losses and scores over training, and predictions against the truth; a live run is drawn as far as it is."""
    folder = run.folder if isinstance(run, Run) else open_run(Path(run)).folder
    collected = collect(folder)
    body = sections.training(collected) + sections.pictures(collected)
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    # Nested rules reach nothing outside of the picture; its colours need a background of their own.
    rules = (
        ".homeostat {"
        + style.replace(":root", "&")
        + "& { background: var(--paper); color: var(--ink); padding: 1rem; }}"
    )
    return Picture(
        f'<div class="homeostat"><style>{rules}</style>{body or "<p>Nothing to draw yet.</p>"}</div>'
    )
