"""Others depend on these: names of files, exit codes, commands, flags and public names. A change here is announced."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import subprocess
import sys
import textwrap
import typing
from pathlib import Path
from typing import Any

import pytest

import curve
from homeostat import cli, errors
from homeostat.cli import train
from homeostat.engine.fit import fit
from homeostat.engine.settings import Settings
from homeostat.recipes import RECIPES, find
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run, create
from patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


def test_the_files_of_a_run() -> None:
    run = Run(Path("r"))
    names = {name: getattr(run, name) for name in vars(Run) if not name.startswith("_")}
    assert {name: str(path) for name, path in names.items() if isinstance(path, Path)} == {
        "folder": "r",
        "config_file": "r/config.json",
        "environment_file": "r/environment.json",
        "splits_file": "r/splits.json",
        "journal_file": "r/journal.jsonl",
        "status_file": "r/status.json",
        "plan_file": "r/plan.json",
        "manifest_file": "r/manifest.json",
        "metrics_file": "r/metrics.json",
        "report_file": "r/report.html",
        "console_file": "r/console.txt",
        "checkpoints": "r/checkpoints",
        "fitted": "r/fitted",
        "predictions": "r/predictions",
        "ledger_file": "r/ledger.jsonl",
        "findings_file": "r/findings.json",
        "tensorboard": "r/tensorboard",
        "export": "r/export",
    }


def test_a_finished_run_holds_these_files_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", "simulate", "curve", "--out", "raw"]) == 0
    assert cli.main(["train", "curve", "--data", "raw", "--run", "a"]) == 0
    assert cli.main(["evaluate", "a"]) == 0
    found = sorted(str(path.relative_to("a")) for path in Path("a").rglob("*") if path.is_file())
    inner = "children/split.curve.0"
    assert found == sorted(
        [
            "config.json",
            "environment.json",
            "journal.jsonl",
            "manifest.json",
            "metrics.json",
            "predictions/valid.parquet",
            "splits.json",
            "status.json",
            f"{inner}/checkpoints/best.ckpt",
            f"{inner}/checkpoints/step-000000.ckpt",
            f"{inner}/checkpoints/step-000030.ckpt",
            f"{inner}/config.json",
            f"{inner}/environment.json",
            f"{inner}/journal.jsonl",
            f"{inner}/manifest.json",
            f"{inner}/plan.json",
            f"{inner}/predictions/valid.parquet",
            f"{inner}/splits.json",
            f"{inner}/status.json",
        ]
    )
    assert sorted(Run(Path("a")).config()) == ["code", "config", "data", "homeostat", "recipe", "stores"]
    status = {"state", "reason", "pid", "host", "started", "heartbeat", "eta_s", "exit_code"}
    assert status == set(Run(Path("a")).status())
    assert status | {"step", "total", "score"} == set(curve.inner(Path("a")).status())
    kinds = {event["kind"] for event in curve.inner(Path("a")).events()}
    assert kinds - {"alarm"} == {"start", "step", "epoch", "score"}


def test_epochs_of_a_journal_count_from_one(tmp_path: Path) -> None:
    """An epoch of 5 steps: whatever is told after its fifth step belongs to the first, not to the second."""
    run = create(tmp_path / "a", {})
    settings = dataclasses.replace(curve.SETTINGS, epochs=2, journal_every=1, evaluate_every=3)
    fit(curve.make_task(), settings, run)
    counted = {
        kind: [(event["step"], event["epoch"]) for event in run.events(kind)]
        for kind in ("step", "epoch", "score")
    }
    assert counted == {
        "step": [(step, 1 if step <= 5 else 2) for step in range(1, 11)],
        "epoch": [(5, 1), (10, 2)],
        "score": [(3, 1), (6, 2), (9, 2), (10, 2)],
    }


def test_only_run_knows_the_names_of_its_files() -> None:
    """Others ask the Run; what reads folders from afar, without torch or our classes, may know what it reads."""
    names = re.compile(r"(journal\.jsonl|status\.json|environment\.json)")
    source = ROOT / "src" / "homeostat"
    knowing = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if names.search(re.sub(r'"""(.|\n)*?"""|#.*', "", path.read_text(encoding="utf-8")))
    }
    assert knowing <= {"run/folder.py", "run/manifest.py", "cli/verify_resume.py"} | {
        name for name in knowing if name.startswith(("report/", "evaluate/"))
    }


def test_exit_codes() -> None:
    codes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.HomeostatError)
    }
    assert codes == {
        "HomeostatError": 1,
        "ConfigError": 2,
        "RunError": 2,
        "InUse": 2,
        "CheckpointError": 2,
        "DataError": 3,
        "Halted": 4,
        "Unsolved": 4,
        "Interrupted": 5,
        "OutOfResources": 6,
    }
    assert errors.__doc__ is not None
    for name, code in codes.items():
        assert name == "HomeostatError" or re.search(rf"{name}\s+{code} ", errors.__doc__), name


def test_commands() -> None:
    assert list(cli.COMMANDS) == [
        "demo", "train", "resume", "stop", "runs", "status", "logs", "evaluate", "predict", "compare", "report",
        "export", "verify", "verify-resume", "doctor", "data",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "command", [name for name in cli.COMMANDS if name not in ("train", "verify-resume", "data")]
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main([command, "--help"])
    assert leaving.value.code == 0
    assert f"usage: homeostat {command}" in capsys.readouterr().out


def test_flags_of_the_engine() -> None:
    """A new knob is a new field here and nowhere else; its help is the string under it."""
    assert _fields(Settings) == {
        "epochs", "seed", "accumulate", "evaluate_every", "patience", "journal_every", "precision", "device",
        "tensorboard", "optimizer", "learning_rate", "weight_decay", "betas", "clip", "average", "schedule",
        "warmup", "floor", "plateau_patience", "plateau_factor", "save_every", "save_every_s", "keep",
        "audits", "heal", "guard", "audit",
    }  # fmt: skip
    assert _fields(train.Options) == {
        "data",
        "run",
        "stores",
        "preset",
        "jobs",
        "detach",
        "stop_after",
        "resume",
    }


def _fields(kind: type) -> set[str]:
    found: set[str] = set()
    for field in dataclasses.fields(kind):
        value = field.default_factory() if callable(field.default_factory) else None
        found |= _fields(type(value)) if dataclasses.is_dataclass(value) else {field.name}
    return found


@pytest.mark.parametrize("recipe", [*map(find, RECIPES), curve.recipe], ids=lambda recipe: recipe.name)
def test_every_flag_is_explained_by_the_string_under_its_field(recipe: Recipe[Any]) -> None:
    silent = [
        f"{kind.__name__}.{name}" for kind in _dataclasses(recipe.config()) for name in _unexplained(kind)
    ]
    assert not silent


def _dataclasses(value: Any) -> list[type]:
    inner = (getattr(value, field.name) for field in dataclasses.fields(value))
    return [
        type(value),
        *(kind for part in inner if dataclasses.is_dataclass(part) for kind in _dataclasses(part)),
    ]


def _unexplained(kind: type) -> list[str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    nested = {
        field.name for field in dataclasses.fields(kind) if dataclasses.is_dataclass(field.default_factory)
    }
    nested |= {name for name, hint in typing.get_type_hints(kind).items() if dataclasses.is_dataclass(hint)}
    return [
        line.target.id
        for line, following in itertools.pairwise([*body, ast.Pass()])
        if isinstance(line, ast.AnnAssign)
        and line.target.id not in nested
        and not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]


def test_every_setting_is_read_by_some_code() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src" / "homeostat").rglob("*.py")
    )
    unread = [name for name in _fields(Settings) if not re.search(rf"\.{name}\b", source)]
    assert not unread


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from homeostat.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0
    assert "homeostat train RECIPE --data PATH [flags]" in done.stdout
