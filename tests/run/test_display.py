"""A run shows itself: its state, its newest scores, its headline and its last alarm."""

from __future__ import annotations

from pathlib import Path

from homeostat.run import Run, create
from homeostat.run.sealed import write_json


def test_a_run_shows_where_it_stands(tmp_path: Path) -> None:
    run = create(tmp_path / "a", {"recipe": "icu", "config": {}})
    assert '<td style="text-align:left">new</td>' in run._repr_html_()
    with run.active():
        run.progress(step=3, total=9, score={"valid/auroc": 0.81234567})
        run.journal(
            "alarm", step=2, guard="spike", level="warn", sentence="The loss is 9 < 10 & <b>rising</b>."
        )
        run.flush()
    write_json(
        run.metrics_file,
        {"headline": {"name": "auroc", "value": 0.8, "low": 0.7, "high": 0.9, "split": "test", "n": 50}},
    )
    shown = run._repr_html_()
    assert "done, step 3 of 9, valid/auroc 0.8123" in shown
    assert "auroc 0.8 (0.7 to 0.9), test, n = 50" in shown
    assert "alarms (1)" in shown
    assert "The loss is 9 &lt; 10 &amp; &lt;b&gt;rising&lt;/b&gt;." in shown
    assert repr(run) == f"Run('{run.folder}', done)"


def test_the_runs_inside_are_listed_and_a_long_list_is_cut(tmp_path: Path) -> None:
    run = create(tmp_path / "a", {})
    for number in range(20):
        with run.child(f"fold{number:02}").active():
            pass
    shown = run._repr_html_()
    assert shown.count("inside: fold") == 12
    assert "and 8 more" in shown


def test_a_run_that_is_not_there_is_shown_as_new(tmp_path: Path) -> None:
    assert "new" in Run(tmp_path / "absent")._repr_html_()
    assert repr(Run(tmp_path / "absent")).endswith("absent', new)")
