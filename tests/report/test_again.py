"""The command on the first screen trains the run again, and is not a guess where no command trained it."""

import json
import re
import shlex
import sys
from html import unescape

import polars as pl
import pytest

import curve
from homeostat import cli
from homeostat.recipes import RECIPES
from homeostat.report import page
from homeostat.run.sealed import read_json


def commands(folder):
    first = page.render(folder).split("What was checked")[0]
    return [
        shlex.split(line) for line in unescape(re.search(r"<pre>(.*?)</pre>", first, re.S)[1]).splitlines()
    ]


@pytest.mark.parametrize("program", ["/usr/bin/homeostat", "/lib/python/homeostat/__main__.py"])
def test_it_keeps_settings_and_drops_places(icu_run, program):
    words = ["train", "icu", "--data", "here", "--preset", "demo", "--run=a b", "--jobs", "2", "--detach"]
    words += ["--stop-after", "5m", "--epochs", "3", "--stores=x", "--data=there"]
    (icu_run / "environment.json").write_text(json.dumps({"command": [program, *words]}))
    first, *others = commands(icu_run)
    assert first == ["homeostat", "train", "icu", "--data", "data", "--preset", "demo", "--epochs", "3"]
    assert others == [["homeostat", verb, str(icu_run)] for verb in ("evaluate", "report")]


@pytest.mark.parametrize(
    "words", [["ipykernel_launcher.py", "-f", "x"], ["homeostat"], [], ["/a/train.py", "train"]]
)
def test_a_run_from_python_has_no_command(icu_run, words):
    (icu_run / "environment.json").write_text(json.dumps({"command": words}))
    assert [line[1] for line in commands(icu_run)] == ["evaluate", "report"]
    assert "it was made from Python" in page.render(icu_run)


def test_a_name_with_spaces_quotes_and_markup_stays_one_word(icu_run):
    config = read_json(icu_run / "config.json") | {"data": "/my data/<b>'\"$(x)"}
    (icu_run / "config.json").write_text(json.dumps(config))
    (icu_run / "environment.json").write_text(json.dumps({"command": ["homeostat", "train", "icu"]}))
    assert commands(icu_run)[0] == ["homeostat", "train", "icu", "--data", "/my data/<b>'\"$(x)"]


def test_the_copied_line_trains_the_same_again(tmp_path, monkeypatch):
    """Run in another folder it makes a run with the same configuration and the same predictions."""
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)

    def run(words, folder):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", words)
        assert cli.main(words[1:]) == 0

    run(["homeostat", "data", "simulate", "curve", "--out", "raw data"], tmp_path / "one")
    flags = ["--data", "raw data", "--run", "a", "--epochs", "2", "--jobs", "1"]
    run(["/bin/homeostat", "train", "curve", *flags], tmp_path / "one")
    first = tmp_path / "one" / "a"
    run(commands(first)[0], tmp_path / "two")
    (again,) = (tmp_path / "two" / "runs").iterdir()
    for name in ("config", "data"):
        assert read_json(again / "config.json")[name] == read_json(first / "config.json")[name]
    for file in first.glob("predictions/*.parquet"):
        assert pl.read_parquet(again / "predictions" / file.name).equals(pl.read_parquet(file))
    for words in commands(first)[1:]:
        run(words, tmp_path / "two")
