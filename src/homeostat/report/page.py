"""Write report.html from a run folder alone: one file, no script, no request."""

from __future__ import annotations

from pathlib import Path

from homeostat.files import replacing
from homeostat.report import each, findings, preparation, sections
from homeostat.report.collect import collect
from homeostat.report.courses import courses
from homeostat.report.opening import opening
from homeostat.report.volumes import volumes
from homeostat.report.words import escape
from homeostat.run import Run

# In the order in which a reader decides: what is it worth, what speaks against it, then the details.
PARTS = (
    opening,
    each.groups,
    volumes,
    sections.scores,
    each.seeds,
    sections.pictures,
    courses,
    sections.subgroups,
    sections.subjects,
    sections.training,
    preparation.preparation,
    findings.findings,
    sections.children,
    sections.test_reads,
    sections.details,
)


def write(folder: Path) -> Path:
    """Write the report of a run folder and return its path."""
    path, text = Run(folder).report_file, render(folder)
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
    return path


def render(folder: Path) -> str:
    """Return the report of a run folder as HTML."""
    run = collect(folder)
    # Inside the page: a report is one file, which can be sent and opened without a network.
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    body = "".join(part(run) for part in PARTS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(run.name)} · Homeostat</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
