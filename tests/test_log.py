"""Every entry of the log has its date, question, command, answer and decision, and the index lists every file."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "log"
AREAS = sorted(path for path in LOG.glob("*.md") if path.name != "README.md")
FIELDS = ["Date", "Question", "Command", "Answer", "Decision"]
# Tables may be wider: a row cannot be broken.
MAX_COLUMNS = 120


def entries(text: str) -> dict[str, dict[str, str]]:
    """Return the fields of each entry by its heading; fields that occur twice or in another order are an error."""
    found = {}
    for block in text.split("\n## ")[1:]:
        heading, _, body = block.partition("\n")
        parts = re.split(r"^- ([A-Z]\w+):", body, flags=re.MULTILINE)
        assert not parts[0].strip(), f"{heading}: text before the first field"
        assert parts[1::2] == FIELDS, f"{heading}: its fields are {parts[1::2]}, expected {FIELDS}"
        values = [" ".join(part.split()) for part in parts[2::2]]
        assert heading not in found, f"{heading}: twice in one file"
        found[heading] = dict(zip(FIELDS, values, strict=True))
    return found


@pytest.mark.parametrize("path", AREAS, ids=lambda path: path.stem)
def test_every_entry_has_all_fields(path: Path) -> None:
    found = entries(path.read_text(encoding="utf-8"))
    assert found, f"{path.name} has no entry"
    empty = [(heading, name) for heading, fields in found.items() for name in FIELDS if not fields[name]]
    assert not empty, f"Fields without text: {empty}"
    questions = [heading for heading, fields in found.items() if "?" not in fields["Question"]]
    assert not questions, f"The question asks nothing: {questions}"


@pytest.mark.parametrize("path", AREAS, ids=lambda path: path.stem)
def test_the_newest_entry_is_the_last(path: Path) -> None:
    found = entries(path.read_text(encoding="utf-8"))
    dates = [datetime.date.fromisoformat(fields["Date"]) for fields in found.values()]
    assert dates == sorted(dates)


@pytest.mark.parametrize("path", AREAS, ids=lambda path: path.stem)
def test_a_command_can_be_run_again_or_says_that_it_was_not_kept(path: Path) -> None:
    found = entries(path.read_text(encoding="utf-8"))
    runnable = re.compile(r"`(homeostat|python|pytest|make|pip|torchrun) ")
    vague = [
        heading
        for heading, fields in found.items()
        if not runnable.search(fields["Command"]) and not re.match(r"not kept: \S", fields["Command"])
    ]
    assert not vague, f"Give the command in backticks, or write `not kept: what was run`: {vague}"


def test_the_index_lists_every_file() -> None:
    index = (LOG / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[([\w-]+\.md)\]\(\1\) \| \S", index, flags=re.MULTILINE)
    assert sorted(listed) == [path.name for path in AREAS]


@pytest.mark.parametrize("path", sorted(LOG.glob("*.md")), ids=lambda path: path.stem)
def test_lines_of_the_log_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    long = [
        number
        for number, line in enumerate(lines, start=1)
        if len(line) > MAX_COLUMNS and not line.lstrip().startswith("|")
    ]
    assert not long, f"Longer than {MAX_COLUMNS} columns: lines {long}"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("- Question: Why?\n", "", "its fields are"),
        ("- Decision: Kept.\n", "- Decision: Kept.\n- Decision: Dropped.\n", "its fields are"),
        ("- Date:", "A riddle.\n\n- Date:", "text before"),
    ],
)
def test_a_broken_entry_is_noticed(old: str, new: str, complaint: str) -> None:
    sound = (
        "# Area\n\n## A thing\n\n- Date: 2026-11-20\n- Question: Why?\n- Command: `make test`\n"
        "- Answer: 1.\n\n  | a |\n  |---|\n- Decision: Kept.\n"
    )
    assert entries(sound)["A thing"]["Answer"] == "1. | a | |---|"
    with pytest.raises(AssertionError, match=complaint):
        entries(sound.replace(old, new))
