"""doctor examines a recipe before, a run after, and the machine; findings come gravest first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from homeostat.audits.machine import LAWS, Machine, describe, examine_machine, read
from homeostat.cli import main
from homeostat.files import write_json
from homeostat.run import create

SOUND = Machine(
    cores=8,
    threads=8,
    load=1.0,
    cuda=True,
    cuda_build=True,
    nvidia=True,
    disk_free=1e12,
    memory_free=6e10,
    year=2026,
    clock_step_s=0.0,
    compiler="c++",
    python=(3, 11),
)
SICK = {
    "device": {"cuda": False},
    "threads": {"threads": 64},
    "load": {"load": 40.0},
    "disk": {"disk_free": 1e8},
    "memory": {"memory_free": 1e8},
    "clock": {"year": 1970},
    "compiler": {"compiler": ""},
    "python": {"python": (3, 9)},
}


def test_a_sound_machine_is_told_so() -> None:
    assert examine_machine(SOUND).findings == ()
    assert set(LAWS) == set(SICK)


@pytest.mark.parametrize("law", SICK)
def test_names_what_is_wrong_with_a_machine(law: str) -> None:
    (finding,) = examine_machine(replace(SOUND, **SICK[law])).findings  # type: ignore[arg-type]
    assert finding.audit == law
    assert finding.advice
    assert finding.command


def test_says_that_torch_was_built_for_the_cpu() -> None:
    (finding,) = examine_machine(replace(SOUND, cuda=False, cuda_build=False)).findings
    assert "built for the CPU" in finding.what
    assert "pip install torch" in finding.command


def test_reads_this_machine(tmp_path: Path) -> None:
    machine = read(tmp_path / "runs")
    assert machine.cores >= 1
    assert machine.disk_free > 0
    assert "cores" in describe(machine)


def test_doctor_of_a_run_that_died(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = create(tmp_path / "dead", {"recipe": "battery", "config": {"solver": "dopri5", "rtol": 1e-9}})
    with run.active():
        run.journal(
            "alarm", step=3, guard="spike", level="warn", sentence="The loss jumped to 9.", remedy=None
        )
    write_json(run.status_file, {"state": "running", "step": 4, "total": 10})
    assert main(["doctor", str(run.folder)]) == 4
    report, complaint = capsys.readouterr()
    assert "3 findings; " in report
    assert "1 fatal: tolerance." in complaint
    kept = json.loads((run.folder / "findings.json").read_text())
    assert [finding["severity"] for finding in kept["findings"]] == ["fatal", "serious", "serious"]
    assert report.index("fatal  tolerance") < report.index("serious  ending")
    assert f"homeostat resume {run.folder}" in report
    assert "The loss jumped to 9." in report


def test_a_healthy_run_is_told_so_and_json_holds_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = create(tmp_path / "well", {"recipe": "battery", "config": {"solver": "dopri5", "rtol": 1e-4}})
    with run.active():
        run.progress(step=10, total=10)
    assert main(["doctor", str(run.folder)]) == 0
    assert "nothing found; " in capsys.readouterr().out
    assert main(["doctor", str(run.folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == []
    assert "tolerance" in report["tried"]
    assert report["not_tried"]["batch_invariance"].startswith("a run folder holds no untrained model")
    assert json.loads((run.folder / "findings.json").read_text())["findings"] == []


def test_an_ablation_is_compared_with_its_parent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"ep_weight": 0.5, "epochs": 100}
    for name, changed in (
        ("parent", {}),
        ("sound", {"ep_weight": 0.0}),
        ("ill", {"ep_weight": 0.0, "epochs": 50}),
    ):
        with create(tmp_path / name, {"recipe": "ecg", "config": {**plain, **changed}}).active():
            pass
    parent = ["--parent", str(tmp_path / "parent")]
    assert main(["doctor", str(tmp_path / "sound"), *parent]) == 0
    assert main(["doctor", str(tmp_path / "ill"), *parent]) == 4
    assert "differs from its parent in 2 settings" in capsys.readouterr().out


def test_doctor_of_a_recipe_rehearses_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "battery"]) == 0
    report = capsys.readouterr().out
    assert "Recipe battery\nnothing found; " in report
    assert "  one_class         no class labels are at hand\n" in report


def test_what_is_neither_recipe_nor_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "nowhere"]) == 2
    assert "nowhere is not a run" in capsys.readouterr().err
