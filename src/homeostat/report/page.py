"""How does a run become one page? Reads the folder, writes report.html: one file, no script, no request."""

from __future__ import annotations

import os
from pathlib import Path

from homeostat.errors import unwritable
from homeostat.report import findings, sections
from homeostat.report.collect import collect
from homeostat.report.opening import opening
from homeostat.report.words import escape
from homeostat.run import Run

PARTS = (
    opening,
    sections.scores,
    sections.pictures,
    sections.series,
    sections.subgroups,
    sections.subjects,
    sections.training,
    findings.findings,
    sections.children,
    sections.test_reads,
    sections.details,
)


def write(folder: Path) -> Path:
    """Writes the report of a run folder and returns where it is."""
    path = Run(folder).report_file
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = render(folder)
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise unwritable(error, path) from error
    return path


def render(folder: Path) -> str:
    run = collect(folder)
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    body = "".join(part(run) for part in PARTS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(run.name)} · Homeostat</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
