"""A configuration survives JSON without loss, and a wrong one is named with its path."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from homeostat.config import Amount, Bound, Share, changed_keys, check_bounds, from_plain, to_plain
from homeostat.engine.settings import Settings
from homeostat.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.1
    shape: Literal["round", "square"] = "round"


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    steps: int = 3
    is_on: bool = False
    limit: float | None = None
    widths: tuple[int, ...] = (1, 2)
    pair: tuple[float, str] = (0.5, "x")
    where: Path = Path("a/b")
    inner: Inner = field(default_factory=Inner)


VALUES = [
    Outer(name="default"),
    Outer(
        name="ümlaut", limit=math.inf, widths=(), pair=(-0.0, ""), inner=Inner(rate=1e-300, shape="square")
    ),
    Outer(name="x", limit=0.1 + 0.2, where=Path("/tmp"), is_on=True),
    Settings(),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_json_round_trip_is_lossless(value: Any) -> None:
    text = json.dumps(to_plain(value), allow_nan=False)
    assert repr(from_plain(type(value), json.loads(text))) == repr(value)


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ({"name": "x", "stesp": 3}, r"Unknown setting 'stesp'\. Did you mean 'steps'\?"),
        ({"name": "x", "inner": {"rat": 1.0}}, r"Unknown setting 'inner\.rat'\. Did you mean 'rate'\?"),
        ({"name": "x", "zzz": 3}, r"Unknown setting 'zzz'\. Known: inner, is_on"),
        ({"name": "x", "steps": "3"}, "steps is '3'; expected int"),
        ({"name": "x", "steps": True}, "steps is True; expected int"),
        ({"name": "x", "steps": 3.0}, r"steps is 3\.0; expected int"),
        ({"name": "x", "is_on": 1}, "is_on is 1; expected bool"),
        (
            {"name": "x", "inner": {"shape": "squar"}},
            "is 'squar'; expected one of 'round', 'square'. Did",
        ),
        ({"name": "x", "widths": [1, "2"]}, r"widths\[1\] is '2'; expected int"),
        ({"name": "x", "pair": [1.0]}, "pair has 1 entries; expected 2"),
        ({"name": "x", "inner": 3}, "inner is 3; expected the settings of Inner"),
        ({"name": "x", "limit": "much"}, "limit is 'much'; expected float"),
        ({}, "Outer lacks the settings name"),
    ],
)
def test_a_wrong_configuration_is_named_with_its_path(plain: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        from_plain(Outer, plain)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be written into a configuration file"):
        to_plain({"x": object()})


def test_differences_are_named_by_path() -> None:
    one, other = to_plain(Outer(name="x")), to_plain(Outer(name="x", inner=Inner(rate=0.2)))
    assert changed_keys(one, other) == ["inner.rate: 0.1 -> 0.2"]
    assert changed_keys(one, one) == []


@dataclass(frozen=True)
class Bounded:
    folds: Annotated[int, Bound(at_least=3, why=": one to test, one to validate, one to train")] = 3
    hours: Annotated[float, Bound(above=0, at_most=48, unit=" hours")] = 6.0
    share: Share = 0.0
    noise: Amount = 0.0
    prior: Annotated[float | None, Bound(above=0, below=1)] = None

    def __post_init__(self) -> None:
        check_bounds(self)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"folds": 2}, "folds 2 must be at least 3: one to test, one to validate, one to train."),
        ({"hours": 0.0}, "hours 0.0 must be more than 0 and at most 48 hours."),
        ({"share": 1.0}, "share 1.0 must be at least 0 and below 1."),
        ({"noise": -1.0}, "noise -1.0 must not be negative."),
        ({"noise": math.nan}, "noise nan must not be negative."),
        ({"prior": 1.0}, "prior 1.0 must be more than 0 and below 1."),
    ],
)
def test_a_value_outside_its_bound_is_refused(changes, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        Bounded(**changes)


def test_values_at_and_inside_their_bounds_are_taken():
    assert Bounded(hours=48.0, prior=0.5).prior == 0.5
