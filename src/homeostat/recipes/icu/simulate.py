"""Stays whose course is known: a latent severity drives vital signs, laboratory, how often one looks, and death.

State of a patient over hours: s = severity, u = inflammation, m = where the illness tends, set at admission.
    du/dt = FADE (m - u)
    ds/dt = FOLLOW (u - s) + FEED s |s| / (1 + s^2)       organ failure feeds itself
    P(death) = sigmoid(BASE + RISK s(48 h) + AGE_RISK (age - 65))
Everything about a patient is a function of (seed, record number) alone. The files are in the challenge's layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.ragged import Array
from homeostat.data.simulation import rk4
from homeostat.data.splits import lot
from homeostat.recipes.icu.variables import SERIES

HOURS = 48.0
STEP_H = 0.25
FADE, FOLLOW, FEED = 0.08, 0.2, 0.12
BASE, RISK, AGE_RISK = -2.7, 1.3, 0.03
FIRST_RECORD = 900001


@dataclass(frozen=True)
class Sign:
    """A variable as a sign of severity: its middle, its change per unit of severity, its noise, its decimals."""

    middle: float
    slope: float
    noise: float
    decimals: int
    log: bool = False


VITALS: Mapping[str, Sign] = {
    "GCS": Sign(13.5, -2.5, 0.8, 0),
    "HR": Sign(85, 12, 5, 0),
    "NIDiasABP": Sign(60, -6, 5, 0),
    "NIMAP": Sign(80, -9, 5, 2),
    "NISysABP": Sign(120, -12, 7, 0),
    "RespRate": Sign(18, 3, 2, 0),
    "Temp": Sign(37, 0.3, 0.3, 1),
    "Urine": Sign(4.4, -0.5, 0.5, 0, log=True),
}
LABORATORY: Mapping[str, Sign] = {
    "BUN": Sign(3.1, 0.3, 0.1, 0, log=True),
    "Creatinine": Sign(0.1, 0.35, 0.1, 1, log=True),
    "Glucose": Sign(4.9, 0.1, 0.2, 0, log=True),
    "HCO3": Sign(24, -2, 1.5, 0),
    "HCT": Sign(31, -0.5, 1.5, 1),
    "K": Sign(4.1, 0.15, 0.3, 1),
    "Lactate": Sign(0.5, 0.5, 0.2, 1, log=True),
    "Na": Sign(139, 0.5, 2, 0),
    "PaCO2": Sign(40, -1, 4, 0),
    "PaO2": Sign(4.8, -0.15, 0.3, 0, log=True),
    "Platelets": Sign(5.3, -0.3, 0.15, 0, log=True),
    "WBC": Sign(2.4, 0.2, 0.2, 1, log=True),
    "pH": Sign(7.39, -0.04, 0.03, 2),
}
# Rounds per hour at severity 0, their growth per unit of severity, and the share of signs taken in a round.
ROUNDS = ((VITALS, 0.8, 0.15, 0.8), (LABORATORY, 0.12, 0.3, 0.7))
# How much patients differ in a sign beyond what severity explains, in units of its noise.
BETWEEN_PATIENTS = 1.0


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A simulated patient before any measurement; -1 stands for not recorded, as in the challenge."""

    record: int
    age: int
    gender: int
    height: float
    weight: float
    unit: int
    start: tuple[float, float]
    """Severity and inflammation on admission."""
    tends_to: float


def draw_patient(seed: int, record: int) -> Patient:
    """The same in a cohort of 10 and of 10,000."""
    draw = np.random.default_rng(lot(seed, "patient", str(record)))
    tends_to = draw.normal(0, 1)
    return Patient(
        record=record,
        age=int(np.clip(draw.normal(65, 16), 16, 90)),
        gender=int(draw.random() < 0.56),
        height=round(float(draw.normal(170, 10)), 1) if draw.random() < 0.5 else -1.0,
        weight=round(float(np.clip(draw.normal(80, 18), 35, 180)), 1) if draw.random() < 0.92 else -1.0,
        unit=int(draw.integers(1, 5)),
        start=(float(draw.normal(0.3, 0.7)), float(0.5 * tends_to + draw.normal(0.3, 0.8))),
        tends_to=float(tends_to),
    )


def vector_field(state: Array, tends_to: Array | float) -> Array:
    """d(s, u)/dt per hour; state (..., 2)."""
    severity, inflammation = state[..., 0], state[..., 1]
    d_severity = FOLLOW * (inflammation - severity) + FEED * severity * abs(severity) / (
        1 + severity * severity
    )
    return np.stack([d_severity, FADE * (tends_to - inflammation)], axis=-1)


def solve(patients: Sequence[Patient]) -> Array:
    """(patient, 193, 2): the state every quarter of an hour, by classical Runge-Kutta (error below 1e-6).

    The field has only sums, products and quotients, so a patient's course is the same bits in any cohort.
    """
    state = np.array([patient.start for patient in patients])
    field = partial(vector_field, tends_to=np.array([patient.tends_to for patient in patients]))
    states = [state]
    for _ in range(round(HOURS / STEP_H)):
        state = rk4(field, state, STEP_H)
        states.append(state)
    return np.stack(states, axis=1)


def probability(patient: Patient, states: Array) -> float:
    """The probability of death in hospital, given the true course."""
    return float(1 / (1 + np.exp(-(BASE + RISK * states[-1, 0] + AGE_RISK * (patient.age - 65)))))


def severity_at(states: Array, hours: Array) -> Array:
    return np.interp(hours, np.arange(len(states)) * STEP_H, states[:, 0])


def draw_rounds(draw: np.random.Generator, states: Array, rate: float, growth: float) -> Array:
    """Times of a Poisson process whose rate grows with severity, by thinning one of the highest rate."""
    highest = rate * float(np.exp(growth * states[:, 0].max()))
    hours = np.sort(draw.uniform(0, HOURS, draw.poisson(highest * HOURS)))
    keep = draw.random(len(hours)) * highest < rate * np.exp(growth * severity_at(states, hours))
    return np.asarray(hours[keep])


def observe(patient: Patient, states: Array, seed: int) -> list[tuple[int, str, str]]:
    """(minute, name, value as text) in order of time, then name."""
    draw = np.random.default_rng(lot(seed, "observations", str(patient.record)))
    rows = []
    for signs, rate, growth, share in ROUNDS:
        hours = draw_rounds(draw, states, rate, growth)
        minutes = np.floor(hours * 60).astype(int)
        severity = severity_at(states, minutes / 60)
        for name, sign in signs.items():
            own = sign.middle + BETWEEN_PATIENTS * sign.noise * draw.normal()
            value = own + sign.slope * severity + sign.noise * draw.normal(size=len(hours))
            value = np.exp(value) if sign.log else value
            value = np.clip(value, SERIES[name].low, SERIES[name].high).round(sign.decimals)
            taken = draw.random(len(hours)) < share
            text = [f"{number:.{sign.decimals}f}" for number in value[taken]]
            rows += list(zip(minutes[taken].tolist(), [name] * len(text), text, strict=True))
    return sorted(rows)


def write_record(folder: Path, patient: Patient, rows: list[tuple[int, str, str]]) -> None:
    """One file as the challenge has it."""
    admission = {
        "RecordID": f"{patient.record}",
        "Age": f"{patient.age}",
        "Gender": f"{patient.gender}",
        "Height": f"{patient.height:g}",
        "ICUType": f"{patient.unit}",
        "Weight": f"{patient.weight:g}",
    }
    lines = ["Time,Parameter,Value", *(f"00:00,{name},{value}" for name, value in admission.items())]
    lines += [f"{minute // 60:02d}:{minute % 60:02d},{name},{value}" for minute, name, value in rows]
    (folder / f"{patient.record}.txt").write_text("\n".join(lines) + "\n")


def simulate(folder: Path, seed: int, *, stays: Mapping[str, int] | None = None) -> None:
    """set-a, -b, -c and their outcomes as the challenge has them, and what is true under `truth/`."""
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    next_record = FIRST_RECORD
    courses, truths = [], []
    for group, size in (stays or {"a": 800, "b": 300, "c": 500}).items():
        (folder / f"set-{group}").mkdir(exist_ok=True)
        patients = [draw_patient(seed, record) for record in range(next_record, next_record + size)]
        outcomes = []
        for patient, states in zip(patients, solve(patients), strict=True):
            write_record(folder / f"set-{group}", patient, observe(patient, states, seed))
            chance = probability(patient, states)
            died = np.random.default_rng(lot(seed, "outcome", str(patient.record))).random() < chance
            outcomes.append((patient.record, -1, -1, -1, -1, int(died)))
            truths.append((str(patient.record), chance, patient.tends_to, *patient.start))
            courses.append(course(patient.record, states))
        write_outcomes(folder / f"Outcomes-{group}.txt", outcomes)
        next_record += size
    names = ["record_id", "probability", "tends_to", "severity_start", "inflammation_start"]
    pl.DataFrame(truths, schema=names, orient="row").write_csv(folder / "truth" / "stays.csv")
    pl.concat(courses).write_parquet(folder / "truth" / "courses.parquet")


def course(record: int, states: Array) -> pl.DataFrame:
    """The true state every hour."""
    hourly = states[:: round(1 / STEP_H)]
    return pl.DataFrame(
        {
            "record_id": [str(record)] * len(hourly),
            "hour": np.arange(len(hourly), dtype=np.float64),
            "severity": hourly[:, 0],
            "inflammation": hourly[:, 1],
        }
    )


def write_outcomes(path: Path, rows: Sequence[tuple[int, ...]]) -> None:
    names = ["RecordID", "SAPS-I", "SOFA", "Length_of_stay", "Survival", "In-hospital_death"]
    pl.DataFrame(rows, schema=names, orient="row").write_csv(path)
