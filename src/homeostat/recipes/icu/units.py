"""The units in which a variable comes, the conversion between them, and the middle that tells them apart.

Conversions of concentrations use molar masses (Young DS, Huth EJ, SI Units for Clinical Measurement, 1998). Middles
and spreads are those of sets a and b of the PhysioNet/CinC Challenge 2012 (log/icu.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from homeostat.data.ragged import Array
from homeostat.errors import ConfigError, did_you_mean
from homeostat.recipes.icu.variables import SERIES, STATIC, Range

T = TypeVar("T", float, Array)


@dataclass(frozen=True)
class Unit:
    """A unit of one variable. `factor * (value + shift)` is the value in the variable's own unit."""

    name: str
    factor: float = 1.0
    shift: float = 0.0
    also: tuple[str, ...] = ()
    """Other spellings. Case, blanks, degree signs and the Greek mu make no difference."""

    def convert(self, values: T) -> T:
        """The values in the variable's own unit."""
        return (values + self.shift) * self.factor

    def invert(self, values: T) -> T:
        """Values of the variable's own unit in this one."""
        return values / self.factor - self.shift

    def is_called(self, word: str) -> bool:
        return spelling(word) in map(spelling, (self.name, *self.also))


@dataclass(frozen=True)
class Usual:
    """The middle of a variable among adults in intensive care, and the spread between stays of its logarithm."""

    middle: float
    spread: float


_KPA = Unit("kPa", 7.50062)
_POUNDS = Unit("lb", 0.45359237, also=("lbs", "pound", "pounds"))
_MICROKATAL = Unit("ukat/L", 60.0)
_NANOGRAM = Unit("ng/L", 0.001, also=("pg/mL",))
_PER_MICROLITRE = Unit("/uL", 0.001, also=("cells/uL", "per uL", "/mm3"))
_PER_SECOND = Unit("1/s", 60.0, also=("Hz", "/s"))

OTHERS: Mapping[str, tuple[Unit, ...]] = {
    "ALP": (_MICROKATAL,),
    "ALT": (_MICROKATAL,),
    "AST": (_MICROKATAL,),
    "Age": (Unit("months", 1 / 12, also=("month",)), Unit("days", 1 / 365.25, also=("day", "d"))),
    "Albumin": (Unit("g/L", 0.1),),
    "BUN": (
        Unit("mmol/L", 2.8014, also=("mmol/L urea",)),
        Unit("mg/dL urea", 1 / 2.1438, also=("urea",)),
    ),
    "Bilirubin": (Unit("umol/L", 1 / 17.104),),
    "Cholesterol": (Unit("mmol/L", 38.67),),
    "Creatinine": (Unit("umol/L", 1 / 88.42),),
    "DiasABP": (_KPA,),
    "FiO2": (Unit("%", 0.01, also=("percent", "per cent")),),
    "Glucose": (Unit("mmol/L", 18.016),),
    "HCO3": (Unit("mg/dL", 1 / 6.1017),),
    "HCT": (Unit("fraction", 100.0, also=("L/L",)),),
    "HR": (_PER_SECOND,),
    "Height": (
        Unit("m", 100.0, also=("metre", "metres")),
        Unit("in", 2.54, also=("inch", "inches")),
        Unit("mm", 0.1),
        Unit("ft", 30.48, also=("feet",)),
    ),
    "K": (Unit("mg/dL", 1 / 3.9098),),
    "Lactate": (Unit("mg/dL", 1 / 9.008),),
    "MAP": (_KPA,),
    "Mg": (Unit("mmol/L", 2.4305), Unit("mEq/L", 1.21525)),
    "NIDiasABP": (_KPA,),
    "NIMAP": (_KPA,),
    "NISysABP": (_KPA,),
    "Na": (Unit("mg/dL", 1 / 2.29898),),
    "PaCO2": (_KPA,),
    "PaO2": (_KPA,),
    "Platelets": (_PER_MICROLITRE,),
    "RespRate": (_PER_SECOND,),
    "SaO2": (Unit("fraction", 100.0),),
    "SysABP": (_KPA,),
    "Temp": (
        Unit("F", 5 / 9, -32.0, also=("degF", "fahrenheit")),
        Unit("K", 1.0, -273.15, also=("kelvin", "degK")),
    ),
    "TroponinI": (_NANOGRAM,),
    "TroponinT": (_NANOGRAM,),
    "Urine": (Unit("L", 1000.0, also=("litre", "litres")),),
    "WBC": (_PER_MICROLITRE,),
    "Weight": (_POUNDS, Unit("g", 0.001, also=("gram", "grams")), Unit("oz", 0.0283495, also=("ounces",))),
}
# Other spellings of the unit that the range is in.
_SAME = {
    "1000/uL": ("K/uL", "10^9/L", "10^3/uL", "G/L", "1000/mm3"),
    "1/min": ("bpm", "/min", "beats/min", "breaths/min"),
    "C": ("degC", "celsius"),
    "mmol/L": ("mEq/L",),
    "ug/L": ("ng/mL",),
    "IU/L": ("U/L",),
    "kg": ("kilogram", "kilograms"),
    "%": ("percent", "per cent"),
}

USUAL: Mapping[str, Usual] = {
    "ALP": Usual(82, 0.6),
    "ALT": Usual(43, 1.5),
    "AST": Usual(62, 1.5),
    "Age": Usual(66, 0.3),
    "Albumin": Usual(2.9, 0.26),
    "BUN": Usual(20, 0.7),
    "Bilirubin": Usual(0.9, 1.2),
    "Cholesterol": Usual(152, 0.3),
    "Creatinine": Usual(1.0, 0.6),
    "DiasABP": Usual(58, 0.2),
    "FiO2": Usual(0.5, 0.31),
    "Glucose": Usual(127, 0.33),
    "HCO3": Usual(23, 0.21),
    "HCT": Usual(30.3, 0.16),
    "HR": Usual(86, 0.21),
    "Height": Usual(170, 0.07),
    "K": Usual(4.1, 0.15),
    "Lactate": Usual(2.1, 0.68),
    "MAP": Usual(77, 0.2),
    "Mg": Usual(2.0, 0.18),
    "NIDiasABP": Usual(57, 0.26),
    "NIMAP": Usual(75.7, 0.2),
    "NISysABP": Usual(117, 0.2),
    "Na": Usual(139, 0.04),
    "PaCO2": Usual(39, 0.2),
    "PaO2": Usual(121, 0.5),
    "Platelets": Usual(172, 0.55),
    "RespRate": Usual(19, 0.27),
    "SaO2": Usual(97, 0.05),
    "SysABP": Usual(116, 0.2),
    "Temp": Usual(37.1, 0.03),
    "TroponinI": Usual(3.1, 1.6),
    "TroponinT": Usual(0.18, 1.9),
    "Urine": Usual(70, 0.95),
    "WBC": Usual(11.4, 0.5),
    "Weight": Usual(80, 0.28),
}


def spelling(word: str) -> str:
    """A unit without what people write in different ways."""
    plain = word.casefold().replace("µ", "u").replace("μ", "u").replace("°", "").replace(" ", "")
    return plain.replace("³", "3").replace("⁹", "^9")


def limits(name: str) -> Range | None:
    """The range of a variable, as a series or on admission."""
    return SERIES.get(name) or STATIC.get(name)


def units(name: str) -> tuple[Unit, ...]:
    """Every unit that is known for a variable, its own first."""
    own = limits(name)
    if own is None:
        return ()
    return (Unit(own.unit, also=_SAME.get(own.unit, ())), *OTHERS.get(name, ()))


def parse(wishes: Sequence[str]) -> dict[str, Unit]:
    """Units by variable from words such as Temp=F."""
    chosen: dict[str, Unit] = {}
    for wish in wishes:
        name, equals, word = (part.strip() for part in wish.partition("="))
        if not equals or not word:
            raise ConfigError(f"--units {wish} is not NAME=UNIT. Write for example --units Temp=F.")
        if not units(name):
            raise ConfigError(
                f"--units {wish}: no units are known for {name!r}, so nothing can be converted."
                f"{did_you_mean(name, [*SERIES, *STATIC])} Convert the column yourself."
            )
        matches = [unit for unit in units(name) if unit.is_called(word)]
        if not matches:
            listed = ", ".join(unit.name for unit in units(name))
            raise ConfigError(f"--units {wish}: {name} comes in {listed}. Name one of these.")
        if name in chosen and chosen[name] != matches[0]:
            raise ConfigError(
                f"--units names two units of {name}: {chosen[name].name} and {matches[0].name}."
            )
        chosen[name] = matches[0]
    return chosen


def rivals(name: str, given: Unit) -> tuple[Unit, ...]:
    """The other units that a middle can tell from the given one."""
    usual = USUAL.get(name)
    if usual is None:
        return ()
    there = given.invert(usual.middle)
    return tuple(
        unit
        for unit in units(name)
        if unit.name != given.name and distance(unit, there, usual) >= LEAST_DISTANCE
    )


# Medians of two hospitals differ by less than a factor of 1.5 in every variable of the table.
LEAST_DISTANCE = math.log(1.5)


def distance(unit: Unit, value: float, usual: Usual) -> float:
    """How far a value lies from the middle if it is in that unit, as the absolute logarithm of their ratio."""
    converted = unit.convert(value)
    return abs(math.log(converted / usual.middle)) if converted > 0 else math.inf


def nearest(name: str, value: float, candidates: Sequence[Unit]) -> Unit | None:
    """The unit in which a value lies nearest to the middle of its variable."""
    usual = USUAL.get(name)
    if usual is None or not candidates:
        return None
    return min(candidates, key=lambda unit: distance(unit, value, usual))
