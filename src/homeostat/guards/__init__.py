"""Guards watch the events of a run and answer with an Alarm or nothing. Adding one: its file, and its line here."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.errors import ConfigError
from homeostat.guards.base import AbstractGuard
from homeostat.guards.clipped import Clipped
from homeostat.guards.collapse import Collapse
from homeostat.guards.deadline import Deadline
from homeostat.guards.disk import Disk
from homeostat.guards.finite import Finite
from homeostat.guards.gradient import Gradient
from homeostat.guards.memory import Memory
from homeostat.guards.overfit import Overfit
from homeostat.guards.pace import Pace
from homeostat.guards.plateau import Plateau
from homeostat.guards.spike import Spike
from homeostat.guards.stalled import Stalled
from homeostat.guards.stiffness import Stiffness
from homeostat.guards.unchanged import Unchanged
from homeostat.guards.undertrained import Undertrained
from homeostat.guards.zero_term import ZeroTerm
from homeostat.plugin.load import load

# In the order in which they are asked: what invalidates a step first, what costs time last.
GUARDS: tuple[type[AbstractGuard], ...] = (
    Finite,
    Unchanged,
    Spike,
    Gradient,
    Collapse,
    Stiffness,
    ZeroTerm,
    Plateau,
    Overfit,
    Undertrained,
    Clipped,
    Pace,
    Stalled,
    Memory,
    Disk,
    Deadline,
)


def every() -> list[AbstractGuard]:
    """Return one of each, fresh: what a run is watched by unless it chooses."""
    return [guard() for guard in GUARDS]


def own(addresses: Sequence[str]) -> list[AbstractGuard]:
    """Return a fresh guard of each class that is named by its address, such as ./my_guard.py:Guard."""
    guards: list[AbstractGuard] = []
    for address in addresses:
        kind: type[AbstractGuard] = load(address, "a class of guards: class Mine(homeostat.Guard)", _is_guard)
        try:
            guard = kind()
        except TypeError as error:
            raise ConfigError(
                f"The guard {address} cannot be made: {error}. A guard is made without arguments, and defines watch, "
                "example, state_dict and load_state_dict."
            ) from error
        # Two guards of one name would load each other's state at a resume.
        taken = {kind.name for kind in GUARDS} | {each.name for each in guards}
        if getattr(guard, "name", None) is None or guard.name in taken:
            raise ConfigError(
                f"The guard {address} needs a name of its own, under which its state is saved: name = 'my_guard'. "
                f"Taken: {', '.join(sorted(taken))}."
            )
        guards.append(guard)
    return guards


def _is_guard(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, AbstractGuard) and value is not AbstractGuard
