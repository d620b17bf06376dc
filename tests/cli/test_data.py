"""Data is prepared once, explained, checked and simulated."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

Homeostat = Callable[..., tuple[int, str, str]]


def test_prepare_then_explain_then_verify(homeostat: Homeostat, cohort: Path, tmp_path: Path) -> None:
    where = ("curve", "--data", cohort, "--stores", tmp_path / "stores")
    code, out, _ = homeostat("data", "prepare", *where)
    assert code == 0
    assert "Next: homeostat train curve" in out
    code, out, _ = homeostat("data", "explain", *where)
    assert "Reused" in out
    code, out, _ = homeostat("data", "verify", *where)
    assert code == 0
    assert "is whole: every checksum holds" in out


def test_explain_and_verify_read_only(homeostat: Homeostat, cohort: Path, tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    where = ("curve", "--data", cohort, "--stores", stores)
    build = f"homeostat data prepare curve --data {cohort} --stores {stores}"
    code, out, _ = homeostat("data", "explain", *where)
    assert (code, out) == (0, f"No curve store in {stores} yet: it must be built.\nNext: {build}\n")
    code, _, err = homeostat("data", "verify", *where)
    assert code == 3
    assert f"No curve store in {stores} yet: it must be built. Build it: {build}" in err
    assert not stores.exists()

    assert homeostat("data", "prepare", *where)[0] == 0
    (victim,) = stores.glob("*/x.npy")
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    code, _, err = homeostat("data", "verify", *where)
    assert code == 3
    assert "x.npy does not match its checksum: it was changed after it was sealed." in err
    assert f"Build it: {build}" in err
    assert "must be built again." in homeostat("data", "explain", *where)[1]
    assert victim.read_bytes() == content, "neither of them mends anything"

    assert homeostat("data", "prepare", *where)[0] == 0
    assert homeostat("data", "verify", *where)[0] == 0


def test_simulating_into_a_full_folder_is_refused(homeostat: Homeostat, cohort: Path) -> None:
    code, _, err = homeostat("data", "simulate", "curve", "--out", cohort)
    assert code == 3
    assert "is not empty" in err


def test_what_is_named_next_works(homeostat: Homeostat, tmp_path: Path) -> None:
    """The simulated batteries name the unit of their time column, which the default configuration does not expect."""
    code, out, _ = homeostat("data", "simulate", "battery", "--out", tmp_path / "cells and more")
    assert code == 0
    words = shlex.split(out.split("Next: homeostat ")[1])
    assert words[:2] == ["train", "battery"]
    code, out, err = homeostat("data", "prepare", *words[1:], "--stores", tmp_path / "stores")
    assert code == 0, err
    assert shlex.split(out.split("Next: homeostat ")[1]) == words


def test_the_flags_of_train_are_taken_and_repeated(homeostat: Homeostat, tmp_path: Path) -> None:
    """A table with other names of its columns is prepared, explained and verified as it is trained."""
    rows = ["patient,hour,name,number"]
    rows += [f"p{k},{hour},Temp,{98.6 + hour}" for k in range(3) for hour in range(4)]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    columns = [
        "--stay",
        "patient",
        "--time",
        "hour",
        "--variable",
        "name",
        "--value",
        "number",
        "--units",
        "Temp=F",
    ]
    where = ["icu", "--data", tmp_path / "x.csv", "--stores", tmp_path / "stores"]
    code, out, err = homeostat("data", "prepare", *where, *columns)
    assert code == 0, err
    assert "12 values of Temp converted from F" in out
    assert shlex.split(out.split("Next: homeostat ")[1])[4:] == columns
    assert "Reused" in homeostat("data", "explain", *where, *columns)[1]
    assert homeostat("data", "verify", *where, *columns)[0] == 0
    code, out, err = homeostat("data", "explain", *where)
    assert code == 0, err
    assert "parameter stay: 'patient' became 'stay'" in out
