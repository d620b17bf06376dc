"""Laws of units: what is converted is the same data, another unit is noticed and named, and sound data pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.data.drift import PROFILE, median
from homeostat.data.store import Store
from homeostat.errors import ConfigError, DataError
from homeostat.recipes.icu import challenge, units
from homeostat.recipes.icu import doubt as doubts
from homeostat.recipes.icu.census import Tally, Treatment, take
from homeostat.recipes.icu.prepare import Preparation, blueprint
from homeostat.recipes.icu.units import OTHERS, USUAL, Unit
from homeostat.recipes.icu.variables import SERIES, STATIC

RANGES = {**STATIC, **SERIES}
PAIRS = [(name, unit) for name, others in OTHERS.items() for unit in others]
# The middles of these differ by less than those of two hospitals do.
ALIKE = [("Mg", "mEq/L")]
STAYS, VALUES = 400, 5


def real_values(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stays and values as adults in intensive care have them, in the variable's own unit."""
    draw = np.random.default_rng(seed)
    usual, limits = USUAL[name], RANGES[name]
    value = usual.middle * np.exp(usual.spread * draw.normal(size=STAYS * VALUES))
    return np.repeat(np.arange(STAYS), VALUES), np.clip(value, limits.low, limits.high)


def count(name: str, stay: np.ndarray, value: np.ndarray, treatment: Treatment) -> Tally:
    return take(name, stay, value.astype(np.float32), RANGES[name], treatment)[2]


def doubt(name: str, tally: Tally, treatment: Treatment) -> str:
    try:
        doubts.refuse({name: tally}, RANGES, treatment)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("name", "unit"), PAIRS)
def test_what_is_converted_is_the_same_data(name: str, unit: Unit) -> None:
    stay, value = real_values(name)
    treatment = Treatment(units=units.parse([f"{name}={unit.name}"]))
    converted, keep, tally = take(name, stay, unit.invert(value), RANGES[name], treatment)
    np.testing.assert_allclose(converted, value, rtol=1e-5)
    assert keep.all()
    assert doubt(name, tally, treatment) == ""


@pytest.mark.parametrize("name", USUAL)
def test_the_right_unit_passes(name: str) -> None:
    for seed in range(20):
        tally = count(name, *real_values(name, seed), Treatment())
        assert doubt(name, tally, Treatment()) == ""
        assert doubts.mixed_unit(name, tally, Treatment()) is None


@pytest.mark.parametrize(("name", "unit"), PAIRS)
def test_another_unit_is_noticed_and_named(name: str, unit: Unit) -> None:
    stay, value = real_values(name)
    sentence = doubt(name, count(name, stay, unit.invert(value), Treatment()), Treatment())
    quoted = f"'{unit.name}'" if " " in unit.name else unit.name
    assert (f"--units {name}={quoted}" in sentence) == ((name, unit.name) not in ALIKE)


@pytest.mark.parametrize(("name", "unit"), PAIRS)
def test_half_of_the_stays_in_another_unit_are_noticed(name: str, unit: Unit) -> None:
    stay, value = real_values(name)
    tally = count(name, stay, np.where(stay % 2 == 0, value, unit.invert(value)), Treatment())
    mixed = doubts.mixed_unit(name, tally, Treatment())
    sentence = doubt(name, tally, Treatment())
    assert bool(mixed or sentence) == ((name, unit.name) not in ALIKE)
    if mixed and not sentence:
        assert mixed[0] == unit
        (phrase,) = [
            text for text in doubts.phrases({name: tally}, RANGES, Treatment()) if "looks like" in text
        ]
        assert f"{name} looks like {unit.name} and not" in phrase


@pytest.mark.parametrize(("name", "unit"), [pair for pair in PAIRS if (pair[0], pair[1].name) not in ALIKE])
def test_values_that_are_in_their_own_unit_already_are_not_converted_again(name: str, unit: Unit) -> None:
    treatment = Treatment(units={name: unit})
    sentence = doubt(name, count(name, *real_values(name), treatment), treatment)
    assert f"--units {name}={units.units(name)[0].name}".replace("'", "") in sentence.replace("'", "")


@pytest.mark.parametrize(("name", "unit"), PAIRS)
def test_naming_the_own_unit_vouches_for_the_values(name: str, unit: Unit) -> None:
    treatment = Treatment(units=units.parse([f"{name}={units.units(name)[0].name}"]))
    stay, value = real_values(name)
    assert doubt(name, count(name, stay, unit.invert(value), treatment), treatment) == ""


def test_units_are_understood_as_people_write_them() -> None:
    for word in ("F", "f", "degF", "°F", "Fahrenheit"):
        assert units.parse([f"Temp={word}"])["Temp"].name == "F"
    assert units.parse(["Creatinine=µmol/L", "WBC = /ul"])["Creatinine"].name == "umol/L"
    assert units.parse(["Platelets=10^9/L"])["Platelets"] == units.units("Platelets")[0]


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ("Temp", "--units Temp is not NAME=UNIT. Write for example --units Temp=F"),
        ("Temp=R", "Temp comes in C, F, K. Name one of these"),
        ("Tmp=F", "no units are known for 'Tmp', so nothing can be converted. Did you mean 'Temp'"),
    ],
)
def test_a_wrong_wish_is_a_wrong_configuration(wish: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Preparation(units=(wish,))
    with pytest.raises(ConfigError, match="names two units of Temp: F and K"):
        Preparation(units=("Temp=F", "Temp=K"))


def write_stays(folder: Path, temperature: float, stays: int = 20) -> Path:
    """A tidy table with one temperature per hour and stay."""
    rows = [
        (f"s{stay}", hour, name, value)
        for stay in range(stays)
        for hour in range(6)
        for name, value in (("Temp", temperature + 0.1 * (stay % 5)), ("Phosphate", 1.0))
    ]
    folder.mkdir(parents=True)
    frame = pl.DataFrame(rows, schema=["stay", "time_h", "variable", "value"], orient="row")
    frame.write_csv(folder / "stays.csv")
    return folder


def prepare(raw: Path, stores: Path, *wishes: str) -> Store:
    return blueprint(raw, Preparation(units=wishes)).build(stores)


def test_a_table_in_fahrenheit_stops_and_is_converted(tmp_path: Path) -> None:
    raw = write_stays(tmp_path / "raw", 98.6)
    with pytest.raises(DataError) as stop:
        prepare(raw, tmp_path / "stores")
    assert str(stop.value) == (
        "120 of 120 values of Temp lie outside 25 to 45 C; as F all would fit. Convert with --units Temp=F."
    )
    store = prepare(raw, tmp_path / "stores", "Temp=F")
    place = store.meta["variables"].index("Temp")
    held = store["value"][store["variable"] == place]
    np.testing.assert_allclose(held.min(), 37, rtol=1e-6)
    assert "120 values of Temp converted from F" in store.report()
    assert "1 variables without a known unit and range, taken as they are: Phosphate" in store.report()
    row = next(row for row in store.meta[PROFILE] if row["variable"] == "Temp")
    assert (row["unit"], row["read_as"], row["came"], row["outside"]) == ("C", "F", 120, 0)
    assert median(row) == pytest.approx(37.11, abs=0.01)
    # Another unit is another store.
    assert store.path != prepare(write_stays(tmp_path / "other", 37.0), tmp_path / "stores").path


@pytest.mark.parametrize("stays", [1, 2, 5])
def test_a_single_stay_in_another_unit_stops_too(tmp_path: Path, stays: int) -> None:
    with pytest.raises(DataError, match="Convert with --units Temp=F"):
        prepare(write_stays(tmp_path / "raw", 98.6, stays), tmp_path / "stores")


def test_a_loose_line_in_one_stay_is_counted_and_does_not_stop(tmp_path: Path) -> None:
    store = prepare(write_stays(tmp_path / "raw", 0.5, 1), tmp_path / "stores")
    assert "6 values of Temp outside 25 to 45, clipped" in store.report()


def test_values_that_no_unit_explains_stop_with_a_way_on(tmp_path: Path) -> None:
    raw = write_stays(tmp_path / "raw", 1e6)
    with pytest.raises(
        DataError, match=r"\(also not F, K\).*say so with --units Temp=C: they are then clipped"
    ):
        prepare(raw, tmp_path / "stores")
    assert (
        "120 values of Temp outside 25 to 45, clipped" in prepare(raw, tmp_path / "stores", "Temp=C").report()
    )


@pytest.fixture(scope="module")
def real(shared_data: Path) -> challenge.Layout:
    return challenge.find(shared_data / "physionet2012")


@pytest.mark.slow
def test_real_stays_pass_and_are_noticed_in_every_other_unit(real: challenge.Layout) -> None:
    stays = challenge.read(real)
    stay, variable, value = (
        np.concatenate([getattr(part, name) for part in stays.observations])
        for name in ("stay", "variable", "value")
    )
    for name, unit in PAIRS:
        if name in SERIES:
            rows = (variable == stays.variables.index(name)) & (value != -1)
            owner, held = stay[rows], value[rows].astype(np.float64)
        else:
            column = stays.static[:, stays.static_names.index(name)]
            owner = np.flatnonzero(np.isfinite(column) & (column != -1))
            held = column[owner]
        sound = count(name, owner, held, Treatment())
        assert doubt(name, sound, Treatment()) == ""
        assert doubts.mixed_unit(name, sound, Treatment()) is None
        sentence = doubt(name, count(name, owner, unit.invert(held), Treatment()), Treatment())
        is_named = f"--units {name}={unit.name}" in sentence.replace("'", "")
        assert is_named == ((name, unit.name) not in ALIKE)
