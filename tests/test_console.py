"""Without a terminal there are plain lines, on one there is a bar, and both say how long it takes."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from pathlib import Path

import pytest

from homeostat import console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with console.Progress("icu", 100, 10, stream=stream) as progress:
        progress.show(20, {"train/loss": 0.123456})
        progress.line("epoch 1")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("icu: step 20 of 100, 0 s left")
    assert first.endswith("train/loss 0.1235")
    assert second == "epoch 1"


def test_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    with console.Progress("icu", 100, stream=stream) as progress:
        progress.show(20, {})
        progress.line("epoch 1 [red]")
    assert "20/100" in stream.getvalue()
    assert "epoch 1 [red]" in stream.getvalue()


def test_news_that_come_too_often_are_left_to_the_journal_but_the_last() -> None:
    stream = io.StringIO()
    with console.Progress("icu", 100, stream=stream) as progress:
        for step in range(1, 101):
            progress.news(step, f"step {step}")
    assert stream.getvalue().splitlines() == ["step 1", "step 100"]


def test_nothing_where_another_process_speaks() -> None:
    stream = Terminal()
    with console.Progress("icu", 100, shown=False, stream=stream) as progress:
        progress.show(20, {})
        progress.line("epoch 1")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (-5, "0 s")]
)
def test_durations_read_as_people_say_them(seconds: float, words: str) -> None:
    assert console.duration(seconds) == words


def test_a_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("run", "state"), [("a", "done"), ("longer", "x")])
    assert capsys.readouterr().out == "run     state\na       done\nlonger  x\n"


def test_what_a_layer_notes_is_shown_while_we_listen_and_not_after(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note = logging.getLogger("homeostat.ode")
    with console.listening():
        note.info("solved in C++")
        note.warning("no compiler")
    note.info("unheard")
    assert capsys.readouterr().err == "solved in C++\nno compiler\n"


def test_no_line_is_printed_into_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes of other layers, and whatever else goes to standard error, come above the bar, on lines of their own."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with console.listening(), console.Progress("icu", 100) as progress:
        progress.show(20, {})
        logging.getLogger("homeostat.ode").info("solved in C++")
        console.note("a worker was killed")
        progress.show(30, {})
    text = stream.getvalue()
    for line in ("solved in C++", "a worker was killed"):
        before = re.split(r"\n|\r|\x1b\[2K", text[: text.index(line)])[-1]
        assert "20/100" not in before


def test_results_do_not_follow_the_bar_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with console.Progress("icu", 100) as progress:
        progress.show(20, {})
        console.say("AUROC 0.87")
    assert capsys.readouterr().out == "AUROC 0.87\n"
    assert "AUROC" not in stream.getvalue()


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": Path("x")}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": "x"}}


UNSEEN = ["\x1b[31m", "\x07", "\r", "\x00", "\u200b", "\u202e", "\ufeff", "\x9b2J"]


@pytest.mark.parametrize("letters", UNSEEN, ids=ascii)
def test_no_name_can_steer_a_terminal(letters: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is printed, and by whatever function, an unseen character is written out."""
    name = f"a{letters}b <i>"
    for show in (console.say, console.note, console.warn, console.fail):
        show(name)
    console.table(("name", name), [(name, "x")])
    console.emit({"name": name})
    with console.listening():
        logging.getLogger("homeostat.names").warning(name)
    stream = io.StringIO()
    with console.Progress(name, 10, stream=stream) as progress:
        progress.show(1, {})
        progress.line(name)
    output = capsys.readouterr()
    text = output.out + output.err + stream.getvalue()
    assert text.count("b <i>") == 10
    assert not [letter for letter in text if letter in letters and not letter.isprintable()]


def test_what_can_be_seen_is_shown_as_it_is() -> None:
    for text in ("Größe 37 °C", "µmol/L", "血圧", "two\nlines", "a\tb", ""):
        assert console.visible(text) == text
    assert console.visible("a\x1bb\u200b") == "a\\x1bb\\u200b"


def test_a_line_break_in_a_name_does_not_tear_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("name",), [("a\nb",)])
    assert capsys.readouterr().out.splitlines() == ["name", "a\\nb"]
