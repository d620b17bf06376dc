"""An audit is a law that a sound training system obeys, tried on one's own model, data and run.

A law is a function. The types of its arguments say which values of a `Case` it takes: one (`trial: Trial`), or all
that there are, at least one (`fitted: tuple[Fitted, ...]`). It returns a Finding where it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from homeostat.audits.case import Case, Given
from homeostat.errors import ConfigError

Severity = Literal["fatal", "serious", "note"]
"""fatal: the numbers are wrong. serious: they are probably not what you think. note: worth knowing."""
SEVERITIES: tuple[Severity, ...] = ("fatal", "serious", "note")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A law that does not hold."""

    audit: str
    severity: Severity
    what: str
    """One sentence with the number that shows it."""
    cause: str
    """The usual reason."""
    advice: str
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    command: str = ""
    """One command that does something about it or shows more, or nothing."""


Check = Callable[..., Finding | None]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A law, and how it is tried."""

    name: str
    law: str
    """The law as a sentence."""
    check: Check
    takes: Mapping[str, tuple[type[Given], bool]]
    """Argument -> the kind of value, and whether it takes all of them."""
    is_cheap: bool = True
    """Cheap ones are tried at the start of every run."""

    def why_not(self, case: Case) -> str | None:
        """Return why the law cannot be tried on a case, or None if it can."""
        return next((case.why_without(kind) for kind, _ in self.takes.values() if not case.all(kind)), None)

    def try_on(self, case: Case) -> Finding | None:
        """Try the law."""
        return self.check(
            **{name: case.all(kind) if many else case.one(kind) for name, (kind, many) in self.takes.items()}
        )


def law(sentence: str, *, is_cheap: bool = True) -> Callable[[Check], Audit]:
    """Make a function the audit of a law; the audit has the function's name."""

    def audit(check: Check) -> Audit:
        # Read once, when the law is made: a law that asks for what no case holds fails at its import, not in a run.
        hints = get_type_hints(check)
        hints.pop("return", None)
        takes = {name: _taken(check.__name__, name, hint) for name, hint in hints.items()}
        return Audit(name=check.__name__, law=sentence, check=check, takes=takes, is_cheap=is_cheap)

    return audit


def _taken(audit: str, name: str, hint: Any) -> tuple[type[Given], bool]:
    is_many = get_origin(hint) is tuple
    kind = get_args(hint)[0] if is_many else hint
    if not isinstance(kind, type) or not isinstance(getattr(kind, "absent", None), str):
        raise ConfigError(
            f"Audit {audit} takes {name} of type {hint}, which no case holds. Take a value such as Trial, or "
            "tuple[Fitted, ...] for all of a kind; a class of your own says in `absent` why a case has none."
        )
    return kind, is_many
