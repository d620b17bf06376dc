"""From data to a finished run and beyond it, with one command each."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import curve
from homeostat import console
from homeostat.cli import main
from homeostat.errors import ConfigError, Halted
from homeostat.methods import workers
from homeostat.recipes import RECIPES
from homeostat.run import Run
from homeostat.run.sealed import read_json

ROOT = Path(__file__).resolve().parents[2]
Homeostat = Callable[..., tuple[int, str, str]]


def test_train_says_what_it_did_where_and_what_next(
    homeostat: Homeostat, cohort: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    code, out, err = homeostat("train", "curve", "--data", cohort, "--run", folder, "--epochs", 2)
    assert code == 0
    assert f"Done: {folder}\nNext: homeostat evaluate {folder}" in out
    assert "epoch 2  step 10  valid/mse" in err
    assert Run(folder).status()["state"] == "done"


def test_every_setting_is_a_flag_and_is_written_down(
    homeostat: Homeostat, cohort: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    flags = [
        "--epochs",
        1,
        "--hidden-dim",
        8,
        "--batch-size",
        35,
        "--learning-rate",
        0.5,
        "--schedule",
        "constant",
    ]
    flags += ["--keep", 2, "--tensorboard"]
    assert homeostat("train", "curve", "--data", cohort, "--run", folder, *flags)[0] == 0
    config = read_json(folder / "config.json")["config"]
    assert (config["hidden_dim"], config["batch_size"], config["fit"]["epochs"]) == (8, 35, 1)
    assert (config["fit"]["optim"]["learning_rate"], config["fit"]["schedule"]["schedule"]) == (
        0.5,
        "constant",
    )
    assert list(curve.inner(folder).tensorboard.iterdir())


def test_the_environment_is_written_down(trained: Path) -> None:
    run, inner = read_json(trained / "environment.json"), read_json(curve.inner(trained).environment_file)
    assert {"homeostat", "python", "torch", "git", "host", "threads", "protocol", "children"} <= set(run)
    assert {"device", "device_reason", "precision"} <= set(inner)
    assert inner["device"] == "cpu"


@pytest.mark.parametrize(("seeds", "threads"), [(1, 2), (2, 1)])
def test_children_share_the_threads_of_the_machine(
    homeostat: Homeostat, cohort: Path, tmp_path: Path, seeds: int, threads: int
) -> None:
    """Two processes of two threads on two cores wait for each other: --jobs 2 was slower than --jobs 1."""
    folder = tmp_path / "a"
    with workers.using(2):
        words = ["train", f"{ROOT / 'tests' / 'curve.py'}:recipe", "--data", cohort, "--run", folder]
        code, _, err = homeostat(*words, "--epochs", 1, "--seeds", seeds)
    assert code == 0, err
    assert read_json(folder / "environment.json")["threads"] == threads
    processes = {child.status()["pid"] for child in Run(folder).children()}
    assert (os.getpid() in processes) == (seeds == 1), "several children are trained by workers"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("trian", "curve"), 2, "There is no command 'trian'. Did you mean 'train'?"),
        (("train", "curv"), 2, "There is no recipe 'curv'. Did you mean 'curve'?"),
        (("train",), 2, "Which recipe? Write: homeostat train RECIPE [flags]. Recipes:"),
        (("train", "curve", "--preset", "smok"), 2, "has no preset 'smok'. Did you mean 'smoke'?"),
        (
            ("train", "curve"),
            2,
            "Which data? Add --data PATH, or make some: homeostat data simulate curve --out",
        ),
        (("train", "curve", "--data", "/nowhere"), 2, "--data /nowhere does not exist."),
        (("train", "curve", "--epochs", "0"), 2, "epochs 0 must be at least 1"),
        (("train", "curve", "--hiden-dim", "3"), 2, "--hidden-dim"),
        (("train", "curve", "--schedule", "cosin"), 2, "cosine"),
        (("train", "curve", "--data", "/tmp", "--stop-after", "25"), 2, "'25' is not a duration"),
        (("resume", "/nowhere"), 2, "/nowhere is not a run: it holds no config.json."),
        (("data", "explian", "curve"), 2, "Did you mean 'explain'?"),
    ],
)
def test_a_mistake_is_named_with_what_was_probably_meant(
    homeostat: Homeostat, words: tuple[str, ...], code: int, sentence: str
) -> None:
    found, _, err = homeostat(*words)
    assert (found, sentence in err) == (code, True), err


@pytest.mark.parametrize(
    "words", [("train",), ("verify-resume",), ("data",), ("data", "prepare"), ("data", "simulate", "curve")]
)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_an_answer_and_no_error(homeostat: Homeostat, words: tuple[str, ...], flag: str) -> None:
    code, out, err = homeostat(*words, flag)
    assert (code, err) == (0, "")
    assert f"homeostat {words[0]}" in out


@pytest.mark.parametrize("flag", ["--gradient-clip", "--gradient_clip"])
def test_a_setting_is_also_found_by_the_name_that_others_give_it(
    homeostat: Homeostat, cohort: Path, tmp_path: Path, flag: str
) -> None:
    folder = tmp_path / "a"
    assert homeostat("train", "curve", "--data", cohort, "--run", folder, f"{flag}=0.5")[0] == 0
    assert read_json(folder / "config.json")["config"]["fit"]["optim"]["clip"] == 0.5


def test_a_setting_that_cannot_be_used_is_not_to_be_resumed(
    homeostat: Homeostat, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError("There is no cell 'x'.")

    monkeypatch.setitem(RECIPES, "curve", lambda: dataclasses.replace(curve.recipe, plan=refuse))
    words = ("train", "curve", "--data", cohort, "--run", tmp_path / "a")
    code, out, err = homeostat(*words)
    assert code == 2
    assert err.endswith("error: There is no cell 'x'.\n")
    assert f"Nothing was trained. Start again with other flags; --run {tmp_path / 'a'} is free." in out
    assert "resume" not in out
    status = homeostat("status", tmp_path / "a")[1]
    assert "Nothing was trained. Mend what the reason says" in status
    assert f"Next: homeostat train curve --data {cohort} --run {tmp_path / 'a'}\n" in status
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)
    code, out, err = homeostat(*words, "--epochs", 1)
    assert code == 0, err
    assert "failed before its first step; it is started anew" in out
    assert curve.inner(tmp_path / "a").status()["step"] == 5
    assert not list(Run(tmp_path / "a").events("failed"))


def test_the_error_comes_before_what_can_be_done_about_it(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def halt(*_: object) -> None:
        raise Halted("Guard finite: the loss is no number.")

    monkeypatch.setitem(RECIPES, "curve", lambda: dataclasses.replace(curve.recipe, plan=halt))
    lines: list[str] = []
    monkeypatch.setattr(console, "say", lines.append)
    monkeypatch.setattr(console, "fail", lines.append)
    folder = tmp_path / "a"
    words = ["train", "curve", "--data", str(cohort), "--run", str(folder), "--stores", str(tmp_path / "s")]
    assert main(words) == 4
    assert lines[-2:] == [
        "Guard finite: the loss is no number.",
        f"Continue it with: homeostat resume {folder}",
    ]


def test_a_run_that_has_learnt_keeps_its_name_when_it_fails(
    homeostat: Homeostat, cohort: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError("There is no cell 'x'.")

    monkeypatch.setitem(RECIPES, "curve", lambda: dataclasses.replace(curve.recipe, plan=refuse))
    code, out, _ = homeostat("resume", trained)
    assert code == 2
    sentence = "What was trained is kept, but the same start ends in the same way. Mend that first."
    assert f"{sentence} Continue it with: homeostat resume {trained}" in out
    assert f"Next: homeostat resume {trained}" in homeostat("status", trained)[1]
    assert homeostat("train", "curve", "--data", cohort, "--run", trained)[0] == 2
    assert (curve.inner(trained).checkpoints / "best.ckpt").exists()


def test_a_failed_start_leaves_no_run(homeostat: Homeostat, tmp_path: Path) -> None:
    homeostat("train", "curve", "--run", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_second_run_of_one_name_is_refused(homeostat: Homeostat, cohort: Path, trained: Path) -> None:
    code, _, err = homeostat("train", "curve", "--data", cohort, "--run", trained)
    assert code == 2
    assert f"{trained} exists already" in err


def test_resume_extends_a_run(homeostat: Homeostat, trained: Path) -> None:
    code, out, _ = homeostat("resume", trained, "--epochs", 4)
    assert code == 0
    assert "changed fit.epochs: 2 -> 4" in out
    assert curve.inner(trained).status()["step"] == 20
    assert read_json(trained / "config.json")["config"]["fit"]["epochs"] == 4


def test_an_extended_run_leaves_nothing_stale(homeostat: Homeostat, trained: Path) -> None:
    assert homeostat("evaluate", trained)[0] == 0
    assert homeostat("report", trained)[0] == 0
    assert homeostat("export", trained)[0] == 0
    files = [
        trained / "metrics.json",
        trained / "report.html",
        curve.inner(trained).export / "model.safetensors",
    ]
    before = [file.read_bytes() for file in files]
    code, out, err = homeostat("resume", trained, "--epochs", 6)
    assert code == 0, err
    assert f"Next: homeostat report {trained}" in out
    assert all(file.read_bytes() != was for file, was in zip(files, before, strict=True))
    assert read_json(curve.inner(trained).export / "config.json")["config"]["fit"]["epochs"] == 6
    extended = read_json(trained / "metrics.json")
    assert homeostat("evaluate", trained)[0] == 0
    assert read_json(trained / "metrics.json") == extended


def test_a_run_that_was_not_scored_is_not_scored_by_a_resume(homeostat: Homeostat, trained: Path) -> None:
    assert homeostat("resume", trained, "--epochs", 3)[0] == 0
    assert not (trained / "metrics.json").exists()
    assert not (trained / "report.html").exists()


def test_train_with_resume_continues_the_run_it_would_have_made(
    homeostat: Homeostat, cohort: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    words = ("train", "curve", "--data", cohort, "--run", folder)
    assert homeostat(*words, "--epochs", 2)[0] == 0
    code, out, _ = homeostat(*words, "--epochs", 4, "--resume")
    assert code == 0
    assert "changed fit.epochs: 2 -> 4" in out
    assert curve.inner(folder).status()["step"] == 20
    code, _, err = homeostat(*words, "--epochs", 4, "--hidden-dim", 8, "--resume")
    assert code == 2
    assert "was made with other settings (hidden_dim: 16 -> 8)" in err


def test_torchrun_starts_the_same_words_again_after_a_process_died(
    homeostat: Homeostat, cohort: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", "curve", "--data", cohort, "--run", trained, "--epochs", 3)
    assert homeostat(*words)[0] == 2
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert homeostat(*words)[0] == 0
    assert curve.inner(trained).status()["step"] == 15
    assert len(list(curve.inner(trained).events("resume"))) == 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "Under torchrun name the run with --run FOLDER"),
        (("--run", "a", "--detach"), "--detach is not for torchrun"),
    ],
)
def test_what_torchrun_cannot_do_is_said_at_once(
    homeostat: Homeostat, cohort: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    code, _, err = homeostat("train", "curve", "--data", cohort, *flags)
    assert code == 2
    assert sentence in err


def test_a_time_budget_ends_with_code_5_and_the_way_on(
    homeostat: Homeostat, cohort: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    words = ("train", "curve", "--data", cohort, "--run", folder, "--step-s", 0.05, "--stop-after", "1s")
    code, out, err = homeostat(*words, "--epochs", 99)
    assert code == 5
    assert "its time budget is used up" in err
    assert f"Continue it with: homeostat resume {folder}" in out
    assert Run(folder).status()["state"] == "interrupted"


def test_bad_data_ends_with_code_3(homeostat: Homeostat, cohort: Path, tmp_path: Path) -> None:
    table = cohort / "curve.csv"
    lines = table.read_text().splitlines()
    lines[3] = "nan," + lines[3].split(",", 1)[1]
    table.write_text("\n".join(lines))
    code, _, err = homeostat("train", "curve", "--data", cohort, "--run", tmp_path / "a")
    assert code == 3
    assert "row 2" in err


def test_tensorboard_that_is_not_installed_is_an_error(
    homeostat: Homeostat, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    code, _, err = homeostat("train", "curve", "--data", cohort, "--run", tmp_path / "a", "--tensorboard")
    assert code == 2
    assert "tensorboard was asked for, but its package is not installed. Run `pip install tensorboard`" in err
