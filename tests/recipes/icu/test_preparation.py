"""Counts of the preparation are kept in the run, shown in its report, and compared with those of new data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from homeostat.audits.folder import examine_run
from homeostat.cli import main
from homeostat.data import prepared
from homeostat.data.drift import PROFILE
from homeostat.data.store import Store
from homeostat.report import page
from homeostat.run import Run


def in_other_units(folder: Path, path: Path, **factors: float) -> Path:
    """The stays of set b with some variables in another unit."""
    path.mkdir()
    for record in sorted((folder / "set-b").iterdir()):
        lines = record.read_text().splitlines()
        fields = [line.split(",") for line in lines]
        for row in fields[7:]:
            row[2] = f"{float(row[2]) * factors.get(row[1], 1):g}"
        (path / record.name).write_text("\n".join(map(",".join, fields)) + "\n")
    return path


def test_a_run_keeps_the_counts_and_profiles_of_its_store(trained: Run, store: Store) -> None:
    assert list(prepared.counts(trained)) == list(store.report())
    assert prepared.profiles(trained) == store.meta[PROFILE]
    assert {row["variable"] for row in prepared.profiles(trained)} == set(store.meta["variables"])


def test_the_report_shows_impossible_and_converted_values(trained: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "copy")
    shutil.copytree(trained.folder, run.folder)
    kept = dict(prepared.kept(run))
    rows = [dict(row) for row in kept[PROFILE]]
    rows[0] |= {"variable": "<b>HR", "outside": 3, "came": 300}
    rows[1] |= {"read_as": "kPa"}
    run.environment(data=kept | {PROFILE: rows, "counts": {"values of <b>HR outside 10 to 300, clipped": 3}})
    text = page.render(run.folder)
    section = text.split("<h2>Preparation of the data</h2>")[1].split("</section>")[0]
    assert "&lt;b&gt;HR" in section
    assert "<b>HR" not in section
    assert "1 %" in section
    assert "kPa" in section
    assert section.count("<tr>") == 1 + 2


@pytest.mark.parametrize("factors", [{"BUN": 1 / 2.8014}, {}])
def test_predict_and_doctor_name_a_unit_that_changed(
    trained: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], factors: dict[str, float]
) -> None:
    new = in_other_units(folder, tmp_path / "new", **factors)
    # Six stays have too few values for the border: only the comparison with training can tell.
    for record in sorted(new.iterdir())[9:]:
        record.unlink()
    words = ["--data", str(new)]
    assert main(["predict", str(trained.folder), *words, "--out", str(tmp_path / "out.csv")]) == 0
    err = capsys.readouterr().err
    assert ("BUN has a median of" in err and "in mmol/L it would fit" in err) == bool(factors)
    main(["doctor", str(trained.folder), *words, "--stores", str(tmp_path / "stores")])
    out = capsys.readouterr().out
    assert ("BUN has a median of" in out) == bool(factors)
    assert "drift" not in {finding.audit for finding in examine_run(trained).findings}


def test_new_data_may_come_in_units_of_their_own(trained: Run, folder: Path, tmp_path: Path) -> None:
    """Stays with platelets per microlitre get the same probabilities, once their unit is named."""
    usual = in_other_units(folder, tmp_path / "usual")
    thousandth = in_other_units(folder, tmp_path / "other", Platelets=1000.0)
    words = ["predict", str(trained.folder), "--data"]
    assert main([*words, str(usual), "--out", str(tmp_path / "a.csv")]) == 0
    assert main([*words, str(thousandth), "--out", str(tmp_path / "b.csv")]) == 3
    assert main([*words, str(thousandth), "--out", str(tmp_path / "b.csv"), "--units", "Platelets=/uL"]) == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
