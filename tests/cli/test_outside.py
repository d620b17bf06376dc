"""A recipe, a guard and an audit outside of this package are used by every command as our own are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import curve
from homeostat.files import write_json
from homeostat.plugin.digest import digest_of
from homeostat.run import Run
from patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
Homeostat = Callable[..., tuple[int, str, str]]
WORD = "./my_curve.py:recipe"

GUARD = """
from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm

class Counter(AbstractGuard):
    name = "counter"
    def __init__(self):
        self.steps = 0
    def watch(self, event):
        self.steps += event.kind == "step"
        if event.kind == "end":
            return Alarm(guard=self.name, level="warn", sentence=f"Counted {self.steps} steps.")
    @staticmethod
    def example():
        return streams.healthy()
    def state_dict(self):
        return {"steps": self.steps}
    def load_state_dict(self, state):
        self.steps = state["steps"]
"""
AUDIT = """
from homeostat.audits.base import Finding, law

@law("Nothing is said.")
def mine():
    return Finding(audit="mine", severity="note", what="I was tried.", cause="A test.", advice="Nothing.")
"""

CURE = "Restore it from a backup. If you vouch for it as it is"


@pytest.fixture
def recipe_file(outside: Path) -> Path:
    """The smallest recipe, as a file in the working folder."""
    return Path(shutil.copy(ROOT / "tests" / "curve.py", outside / "my_curve.py"))


@pytest.fixture
def raw(homeostat: Homeostat, recipe_file: Path) -> Path:
    assert homeostat("data", "simulate", WORD, "--out", "raw")[0] == 0
    return recipe_file.parent / "raw"


@pytest.fixture
def run(homeostat: Homeostat, raw: Path) -> Run:
    code, _, err = homeostat("train", WORD, "--data", raw, "--run", "a", "--epochs", 2)
    assert code == 0, err
    return Run(raw.parent / "a")


def test_a_run_keeps_the_address_and_the_digest(run: Run, recipe_file: Path) -> None:
    config = run.config()
    assert config["recipe"] == f"{recipe_file}:recipe"
    assert config["code"] == {str(recipe_file): digest_of(recipe_file)}


def test_our_own_recipes_keep_no_digest(trained: Path) -> None:
    assert Run(trained).config()["recipe"] == "curve"
    assert Run(trained).config()["code"] == {}


def test_every_command_knows_it_from_any_folder(
    homeostat: Homeostat, run: Run, raw: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, word = run.folder, run.config()["recipe"]
    out = tmp_path / "new.parquet"
    for words in (
        ("resume", folder, "--epochs", 3),
        ("evaluate", folder),
        ("predict", folder, "--data", raw, "--out", out),
        ("report", folder),
        ("export", folder),
        ("status", folder),
        ("doctor", folder),
        ("doctor", word),
        ("data", "prepare", word, "--data", raw),
        ("data", "explain", word, "--data", raw),
        ("data", "verify", word, "--data", raw),
        ("train", word, "--data", raw, "--run", folder, "--epochs", 4, "--resume"),
        ("demo", word, "--root", tmp_path / "shown"),
    ):
        code, _, err = homeostat(*words)
        assert (code, "changed since" in err) == (0, False), (words, err)
    assert curve.inner(run.folder).status()["step"] == 20
    assert len(pl.read_parquet(out)) == 110
    assert list((tmp_path / "shown").glob("demo-curve-*/report.html"))


@pytest.mark.faults
@pytest.mark.parametrize("words", [("verify-resume", WORD, "--kills", "2"), ("resume", "a", "--epochs", "3")])
def test_another_process_knows_it_as_well(run: Run, words: tuple[str, ...]) -> None:
    """A process that a kill or --detach leaves alone knows the folder of the run, and nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "homeostat", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        cwd=run.folder.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert "passed. 2 SIGKILLs" in done.stdout or curve.inner(run.folder).status()["step"] == 15


def test_a_changed_file_is_told_and_the_run_goes_on(
    homeostat: Homeostat, run: Run, raw: Path, recipe_file: Path
) -> None:
    recipe_file.write_text(recipe_file.read_text() + "\n# Another line.\n")
    sentence = f"{recipe_file} has changed since the run was made: its SHA-256 was "
    for words in (
        ("resume", run.folder, "--epochs", 3),
        ("evaluate", run.folder),
        ("predict", run.folder, "--data", raw, "--out", "new.csv"),
        ("doctor", run.folder),
    ):
        code, _, err = homeostat(*words)
        assert code == 0
        assert f"warning: {sentence}" in err, words
    (event,) = run.events("code")
    assert event["sentence"].startswith(sentence)
    assert curve.inner(run.folder).status()["step"] == 15
    assert homeostat("report", run.folder)[0] == 0
    assert run.report_file.read_text().count(sentence) == 1


def test_a_file_that_is_gone_is_told_with_the_way_out(
    homeostat: Homeostat, run: Run, raw: Path, recipe_file: Path
) -> None:
    moved = recipe_file.rename(recipe_file.with_name("moved_curve.py"))
    for words in (
        ("resume", run.folder, "--epochs", 3),
        ("evaluate", run.folder),
        ("predict", run.folder, "--data", raw, "--out", "new.csv"),
    ):
        code, out, err = homeostat(*words)
        assert code == 2
        assert f"There is no file {recipe_file}" in err
        assert f"{run.folder} was made with the recipe {recipe_file}:recipe. Put it back there" in out
        assert f'into {run.config_file} ("recipe")' in out
    write_json(run.config_file, {**run.config(), "recipe": f"{moved}:recipe"})
    code, _, err = homeostat("resume", run.folder, "--epochs", 3)
    assert code == 2
    assert f"config.json was changed after it was written. {CURE}" in err.replace("\n", " ")
    code, out, _ = homeostat("verify", run.folder, "--seal")
    assert (code, "sealed config.json" in out) == (0, True)
    code, _, err = homeostat("resume", run.folder, "--epochs", 3)
    assert code == 0
    assert f"warning: {recipe_file} is gone since the run was made." in err


def test_a_changed_recipe_makes_another_store(homeostat: Homeostat, raw: Path, recipe_file: Path) -> None:
    assert homeostat("data", "prepare", WORD, "--data", raw)[0] == 0
    recipe_file.write_text(
        recipe_file.read_text().replace('array("y", table.select("y")', 'array("y", table.select(["y"])')
    )
    _, out, _ = homeostat("data", "explain", WORD, "--data", raw)
    assert "Not reused: code my_curve.blueprint changed." in out


def counted(run: Run) -> list[str]:
    alarms = curve.inner(run.folder).events("alarm")
    return [event["sentence"] for event in alarms if event["guard"] == "counter"]


def test_a_guard_of_ones_own_watches_every_fit_and_keeps_its_state(
    homeostat: Homeostat, raw: Path, outside: Path
) -> None:
    (outside / "my_guard.py").write_text(GUARD)
    words = ("train", "curve", "--data", raw, "--run", "a", "--epochs", 2, "--guard", "./my_guard.py:Counter")
    assert homeostat(*words)[0] == 0
    run = Run(outside / "a")
    assert counted(run) == ["Counted 10 steps."]
    assert run.config()["config"]["fit"]["guard"] == [f"{outside / 'my_guard.py'}:Counter"]
    assert list(run.config()["code"]) == [str(outside / "my_guard.py")]
    assert homeostat("resume", run.folder, "--epochs", 3)[0] == 0
    assert counted(run)[1:] == ["Counted 15 steps."]


def test_an_audit_of_ones_own_is_tried_before_and_after(
    homeostat: Homeostat, raw: Path, outside: Path
) -> None:
    (outside / "my_audit.py").write_text(AUDIT)
    wanted = ("--audits", "--audit", "./my_audit.py:mine")
    assert homeostat("train", "curve", "--data", raw, "--run", "a", "--epochs", 2, *wanted)[0] == 0
    assert [
        event["what"] for event in curve.inner(outside / "a").events("finding") if event["audit"] == "mine"
    ]
    for words in (("doctor", "a"), ("doctor", "curve", "--audit", "./my_audit.py:mine")):
        assert "I was tried." in homeostat(*words)[1], words
    assert homeostat("train", "curve", "--data", raw, "--run", "b", "--epochs", 2)[0] == 0
    assert "I was tried." not in homeostat("doctor", "b")[1]
    assert "I was tried." in homeostat("doctor", "b", "--audit", "./my_audit.py:mine")[1]


def test_a_flag_that_is_given_twice_is_heard_twice(homeostat: Homeostat, raw: Path, outside: Path) -> None:
    (outside / "my_guard.py").write_text(GUARD + "\nclass Second(Counter):\n    name = 'second'\n")
    given = ("--guard", "./my_guard.py:Counter", "--epochs", 1, "--guard=./my_guard.py:Second")
    code, _, err = homeostat("train", "curve", "--data", raw, "--run", "a", *given)
    assert code == 0, err
    alarms = curve.inner(outside / "a").events("alarm")
    assert {event["guard"] for event in alarms} >= {"counter", "second"}


@pytest.mark.parametrize(
    ("flag", "source", "sentence"),
    [
        (
            "--guard",
            "Thing = 3",
            "./my.py:Thing is of type int; expected a class of guards: class Mine(homeostat.Guard).",
        ),
        (
            "--guard",
            GUARD.replace("Counter", "Thing").replace('"counter"', '"spike"'),
            "needs a name of its own",
        ),
        (
            "--guard",
            GUARD.replace("Counter", "Thing").replace("def watch", "def look"),
            "cannot be made: Can't",
        ),
        (
            "--audit",
            AUDIT.replace("def mine", "def frozen") + "Thing = frozen",
            "is called 'frozen'",
        ),
        ("--audit", "def Thing(case): ...", "./my.py:Thing is of type function; expected an audit"),
        ("--audit", "Thing = 1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_guard_and_no_audit_is_refused_before_the_run(
    homeostat: Homeostat, raw: Path, outside: Path, flag: str, source: str, sentence: str
) -> None:
    (outside / "my.py").write_text(source)
    code, _, err = homeostat("train", "curve", "--data", raw, "--run", "a", flag, "./my.py:Thing")
    assert (code, sentence in err) == (2, True), err
    assert not (outside / "a").exists()


@pytest.mark.parametrize("command", ["train", "verify-resume", "demo", "doctor"])
def test_a_wrong_address_is_told_by_every_command(
    homeostat: Homeostat, recipe_file: Path, command: str
) -> None:
    code, _, err = homeostat(command, "./my_curve.py:recip")
    assert code == 2
    assert (
        f"{recipe_file} has no 'recip'; expected a Recipe (from homeostat import Recipe). Did you mean" in err
    )


def test_help_lists_the_flags_of_a_recipe_of_ones_own(homeostat: Homeostat, recipe_file: Path) -> None:
    code, out, _ = homeostat("train", WORD, "--help")
    assert code == 0
    words = re.sub(r"[^\w-]+", " ", out)
    assert "--hidden-dim" in words
    assert "Width of the hidden layer" in words
