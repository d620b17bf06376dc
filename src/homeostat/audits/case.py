"""A case: the values that laws are tried on. A law takes what it needs of them; what is absent has its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, TypeVar

from homeostat.errors import ConfigError


class Given(Protocol):
    """A value that laws are tried on."""

    absent: ClassVar[str]
    """Why a case has no such value, unless it knows better (`Absent`)."""


G = TypeVar("G", bound=Given)


@dataclass(frozen=True)
class Absent:
    """The reason why this case has no value of a kind."""

    kind: type[Given]
    reason: str


@dataclass(frozen=True)
class Case:
    """A model, a data set or a run, as values. Laws that take another kind of value are not tried on it."""

    name: str
    values: Sequence[Given | Absent] = ()

    def all(self, kind: type[G]) -> tuple[G, ...]:
        """Return the values of a kind."""
        return tuple(value for value in self.values if isinstance(value, kind))

    def one(self, kind: type[G]) -> G:
        """Return the only value of a kind."""
        values = self.all(kind)
        if len(values) != 1:
            raise ConfigError(
                f"Case {self.name} has {len(values)} values of kind {kind.__name__}. Give it one."
            )
        return values[0]

    def why_without(self, kind: type[Given]) -> str:
        """Return the reason why there is no value of a kind."""
        reasons = [each.reason for each in self.values if isinstance(each, Absent) and each.kind is kind]
        return reasons[0] if reasons else kind.absent

    def but(self, *values: Given) -> Case:
        """Return this case with other values of their kinds."""
        kinds = tuple({type(value) for value in values})
        return replace(self, values=(*(v for v in self.values if not isinstance(v, kinds)), *values))
