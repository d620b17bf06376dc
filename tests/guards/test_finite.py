"""The finite guard fires on the planted fault, names it, and is silent otherwise."""

from __future__ import annotations

import math

import pytest

from homeostat.guards.base import Event, Remedy
from homeostat.guards.finite import Finite


def step(**changes: object) -> Event:
    fields = {"step": 7, "epoch": 1, "loss": 0.5, "gradient_norm": 2.0, "rows": list(range(20))}
    return Event(kind="step", **{**fields, **changes})


def test_is_silent_on_numbers() -> None:
    assert Finite().watch(step()) is None
    assert Finite().watch(Event(kind="score", step=7, epoch=1, loss=math.nan)) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_names_the_term_and_the_rows(value: float) -> None:
    alarm = Finite().watch(step(loss=value, terms={"kl": value, "mse": 0.1}))
    assert alarm is not None
    assert alarm.level == "halt"
    assert f"At step 7 the loss is {value} (from kl), on rows 0, 1, 2, 3, 4, 5, 6, 7, ..." in alarm.sentence
    assert alarm.remedy == Remedy(action="skip_batch")


def test_names_the_gradient_when_the_loss_is_a_number() -> None:
    alarm = Finite().watch(step(gradient_norm=math.inf))
    assert alarm is not None
    assert "the gradient norm is inf" in alarm.sentence


def test_a_remedy_reads_as_a_word() -> None:
    assert str(Remedy(action="lower_lr", factor=0.5)) == "lower_lr(0.5)"
    assert str(Remedy(action="precision", region="solver")) == "precision(solver)"
    assert str(Remedy(action="stop")) == "stop"
