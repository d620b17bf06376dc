"""Laws of `data look`: it finds what simulated tables hold, under any names, and the line that it prints works."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.cli import guess
from homeostat.data.survey import survey

Homeostat = Callable[..., tuple[int, str, str]]
ZERO = datetime(2026, 11, 21, 9, 30)


def observations(stays: int = 30) -> pl.DataFrame:
    """Stays with a few vital signs every hour, in the columns that the recipe expects."""
    draw = np.random.default_rng(0)
    rows = [
        (f"s{stay}", f"p{stay // 2}", float(hour), name, round(middle + spread * draw.normal(), 2), stay % 2)
        for stay in range(stays)
        for hour in range(0, 40, 4)
        for name, middle, spread in (("HR", 86, 8), ("Temp", 37, 0.3), ("BUN", 22, 4), ("Weight", 80, 9))
    ]
    names = ["stay", "subject", "time_h", "variable", "value", "outcome"]
    return pl.DataFrame(rows, schema=names, orient="row")


def factor(frame: pl.DataFrame, **factors: float) -> pl.DataFrame:
    scale = pl.col("variable").replace_strict(factors, default=1.0, return_dtype=pl.Float64)
    return frame.with_columns(pl.col("value") * scale)


def fahrenheit(frame: pl.DataFrame) -> pl.DataFrame:
    hot = pl.col("value") * 9 / 5 + 32
    return frame.with_columns(
        value=pl.when(pl.col("variable") == "Temp").then(hot).otherwise(pl.col("value"))
    )


FORMS = {
    "as expected": (lambda frame: frame, []),
    "mimic": (
        lambda f: f.rename(
            {"stay": "stay_id", "subject": "subject_id", "variable": "label", "value": "valuenum",
             "outcome": "hospital_expire_flag"}
        ).with_columns(charttime=ZERO + pl.duration(minutes=60 * pl.col("time_h"))).drop("time_h"),
        ["--stay", "stay_id", "--subject", "subject_id", "--time", "charttime", "--variable", "label", "--value",
         "valuenum", "--outcome", "hospital_expire_flag"],
    ),
    "fahrenheit and pounds": (lambda f: factor(fahrenheit(f), Weight=2.2046), ["--units", "Temp=F", "Weight=lb"]),
    "capitals": (lambda f: f.rename({name: name.upper() for name in f.columns}), []),
    "minutes": (lambda f: f.with_columns(pl.col("time_h") * 60), ["--time-unit", "minutes"]),
    "yes and no": (lambda f: f.with_columns(pl.col("outcome").replace_strict({0: "no", 1: "yes"})), []),
    "lower variables": (lambda f: f.with_columns(pl.col("variable").str.to_lowercase()), []),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("form", FORMS)
def test_the_line_that_is_printed_works(homeostat: Homeostat, tmp_path: Path, form: str, suffix: str) -> None:
    change, flags = FORMS[form]
    file = tmp_path / f"some stays{suffix}"
    frame = change(observations())
    frame.write_csv(file) if suffix == ".csv" else frame.write_parquet(file)
    code, out, err = homeostat("data", "look", file)
    assert code == 0, err
    assert "a row per observation (recipe icu)" in out
    assert "30 stays of 15 subjects; outcome known in 30, of these 15 died" in out
    words = shlex.split(out.split("Next: homeostat ")[1])
    assert words[:4] == ["train", "icu", "--data", str(file)]
    assert words[4:] == flags
    code, out, err = homeostat("data", "prepare", *words[1:], "--stores", tmp_path / "stores")
    assert code == 0, err


def test_a_line_trains(homeostat: Homeostat, tmp_path: Path) -> None:
    change, _ = FORMS["mimic"]
    change(observations(80)).write_csv(tmp_path / "x.csv")
    _, out, _ = homeostat("data", "look", tmp_path / "x.csv")
    words = shlex.split(out.split("Next: homeostat ")[1])
    code, _, err = homeostat(
        *words, "--preset", "smoke", "--run", tmp_path / "run", "--stores", tmp_path / "stores"
    )
    assert code == 0, err


def test_a_table_with_a_column_per_variable_becomes_a_row_per_observation(
    homeostat: Homeostat, tmp_path: Path
) -> None:
    wide = observations().pivot("variable", index=["stay", "subject", "time_h", "outcome"], values="value")
    wide.write_csv(tmp_path / "wide.csv")
    code, out, err = homeostat("data", "look", tmp_path / "wide.csv")
    assert code == 0, err
    assert "a row per time, a column per variable" in out
    words = shlex.split(out.split("Next: homeostat ")[1])
    assert words[-2] == "--long"
    code, out, err = homeostat(*words[:-1], tmp_path / "long.parquet")
    assert code == 0, err
    words = shlex.split(out.split("Next: homeostat ")[1])
    code, out, err = homeostat("data", "prepare", *words[1:], "--stores", tmp_path / "stores")
    assert code == 0, err
    held = pl.read_parquet(tmp_path / "long.parquet")
    assert len(held) == len(observations())
    assert homeostat("data", "look", tmp_path / "wide.csv", "--long", tmp_path / "long.parquet")[0] == 2


def test_json_holds_what_the_text_says(homeostat: Homeostat, tmp_path: Path) -> None:
    fahrenheit(observations()).with_columns(note=pl.lit(None, pl.String)).write_parquet(
        tmp_path / "x.parquet"
    )
    code, out, err = homeostat("data", "look", tmp_path / "x.parquet", "--json")
    assert code == 0, err
    look = json.loads(out)
    assert (look["recipe"], look["rows"]) == ("icu", 1200)
    roles = {column["name"]: column["role"] for column in look["columns"] if column["role"]}
    assert roles == {name: name.removesuffix("_h") for name in observations().columns}
    (hot,) = [row for row in look["variables"] if row["variable"] == "Temp"]
    assert (hot["unit"], hot["looks_like"], hot["outside"]) == ("C", "F", 300)
    assert "Column 'note' is empty." in look["oddities"]
    assert look["next"].startswith("homeostat train icu")


@pytest.mark.parametrize("recipe", ["icu", "battery", "cell"])
def test_simulated_data_of_each_recipe_are_recognised(
    homeostat: Homeostat, tmp_path: Path, recipe: str
) -> None:
    assert homeostat("data", "simulate", recipe, "--out", tmp_path / "data")[0] == 0
    code, out, err = homeostat("data", "look", tmp_path / "data")
    assert code == 0, err
    words = shlex.split(out.split("Next: homeostat ")[1])
    assert words[:2] == ["train", recipe]
    code, out, err = homeostat("data", "prepare", *words[1:], "--stores", tmp_path / "stores")
    assert code == 0, err


def test_without_outcome_the_line_prepares(homeostat: Homeostat, tmp_path: Path) -> None:
    observations().drop("outcome").write_csv(tmp_path / "x.csv")
    _, out, _ = homeostat("data", "look", tmp_path / "x.csv")
    assert "The table seems to have no outcome (--outcome)" in out
    words = shlex.split(out.split("Next: homeostat ")[1])
    assert homeostat(*words, "--stores", tmp_path / "stores")[0] == 0


def test_what_would_stop_training_is_told(homeostat: Homeostat, tmp_path: Path) -> None:
    factor(observations(), Temp=1000).write_csv(tmp_path / "x.csv")
    _, out, _ = homeostat("data", "look", tmp_path / "x.csv")
    assert "Training would stop: 300 of 300 values of Temp lie outside 25 to 45 C" in out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("a,b\n1,2\n", "a table that no recipe knows by its columns"), ("x\n\x1b[31mred\n", "\\x1b[31mred")],
)
def test_a_strange_table_is_shown_all_the_same(
    homeostat: Homeostat, tmp_path: Path, content: str, sentence: str
) -> None:
    (tmp_path / "x.csv").write_text(content)
    code, out, err = homeostat("data", "look", tmp_path / "x.csv")
    assert code == 0, err
    assert sentence in out
    assert "Next:" not in out


def test_nothing_to_look_at(homeostat: Homeostat, tmp_path: Path) -> None:
    assert homeostat("data", "look", tmp_path / "none.csv")[0] == 2
    assert homeostat("data", "look", tmp_path)[0] == 3


def test_long_form_keeps_every_number() -> None:
    """No value is lost or made, and empty cells make no rows."""
    frame = pl.DataFrame({"stay": ["a", "b"], "hour": [0, 1], "HR": [70.0, None], "Temp": [36.5, 37.0]})
    long = guess.long_form(frame, survey(frame, Path("x.csv")), {"stay": "stay", "time": "hour"})
    assert sorted(long.rows()) == [("a", 0, "HR", 70.0), ("a", 0, "Temp", 36.5), ("b", 1, "Temp", 37.0)]
