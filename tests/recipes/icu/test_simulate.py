"""Laws of simulated stays: deterministic by address, true to their field, looked at more often when severe."""

import numpy as np
import polars as pl
from scipy.integrate import solve_ivp

from homeostat.recipes.icu.simulate import (
    FIRST_RECORD,
    ROUNDS,
    draw_patient,
    draw_rounds,
    observe,
    probability,
    severity_at,
    simulate,
    solve,
    vector_field,
)


def patients(count: int, seed: int = 0):
    return [draw_patient(seed, FIRST_RECORD + number) for number in range(count)]


def test_a_stay_is_the_same_bytes_in_a_larger_cohort(tmp_path):
    simulate(tmp_path / "few", 1, stays={"a": 3})
    simulate(tmp_path / "many", 1, stays={"a": 2, "b": 4})
    simulate(tmp_path / "other", 2, stays={"a": 3})
    few = {path.name: path.read_bytes() for path in (tmp_path / "few").glob("set-*/*.txt")}
    many = {path.name: path.read_bytes() for path in (tmp_path / "many").glob("set-*/*.txt")}
    other = {path.name: path.read_bytes() for path in (tmp_path / "other").glob("set-*/*.txt")}
    assert len(few) == 3
    assert all(many[name] == content != other[name] for name, content in few.items())


def test_the_truth_solves_the_vector_field():
    for patient, states in zip(patients(5), solve(patients(5)), strict=True):
        reference = solve_ivp(
            lambda _, y, tends_to=patient.tends_to: vector_field(y, tends_to),
            (0, 48),
            patient.start,
            method="DOP853",
            t_eval=np.linspace(0, 48, 193),
            rtol=1e-10,
            atol=1e-12,
        )
        np.testing.assert_allclose(states, reference.y.T, atol=1e-6)


def test_deaths_come_as_often_as_their_probability_says(tmp_path):
    people = patients(2000)
    chance = np.array([probability(*pair) for pair in zip(people, solve(people), strict=True)])
    assert 0.1 < chance.mean() < 0.18
    simulate(tmp_path, 0, stays={"a": 400})
    died = pl.read_csv(tmp_path / "Outcomes-a.txt")["In-hospital_death"].to_numpy()
    stated = pl.read_csv(tmp_path / "truth" / "stays.csv")["probability"].to_numpy()
    np.testing.assert_allclose(stated, chance[:400], rtol=1e-6)
    assert abs(died.mean() - stated.mean()) < 3 * np.sqrt((stated * (1 - stated)).mean() / 400)


def test_rounds_come_at_the_declared_rate():
    states = np.zeros((193, 2))
    draw = np.random.default_rng(0)
    for level in (0.0, 2.0):
        states[:, 0] = level
        counts = [len(draw_rounds(draw, states, 0.5, 0.3)) for _ in range(400)]
        expected = 48 * 0.5 * np.exp(0.3 * level)
        assert abs(np.mean(counts) - expected) < 4 * np.sqrt(expected / 400)


def test_the_severe_are_looked_at_more_often():
    people = patients(200)
    courses = solve(people)
    severity = [states[:, 0].mean() for states in courses]
    looked = [len(observe(patient, states, 0)) for patient, states in zip(people, courses, strict=True)]
    assert np.corrcoef(severity, looked)[0, 1] > 0.4


def test_signs_follow_the_severity():
    people = patients(60)
    rows = []
    for patient, states in zip(people, solve(people), strict=True):
        for minute, name, value in observe(patient, states, 0):
            if name == "HR":
                rows.append((severity_at(states, np.array([minute / 60]))[0], float(value)))
    slope = np.polyfit(*np.array(rows).T, 1)[0]
    assert abs(slope - ROUNDS[0][0]["HR"].slope) < 1.5
