"""Doubt a variable whose values lie outside its range, or whose middle is that of another unit.

A value outside the range is a slip of a hand; one in twenty is a column with another meaning. Inside the range a wrong
unit shows in the middle: each stay votes for the unit in which its mean lies nearest to the usual one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from homeostat.data.table import MOST_UNREADABLE
from homeostat.errors import DataError
from homeostat.recipes.icu import units
from homeostat.recipes.icu.census import Tally, Treatment
from homeostat.recipes.icu.units import USUAL, Unit
from homeostat.recipes.icu.variables import Range

# Of fewer stays nothing is known about their middle.
FEWEST_VOTERS = 10
# Stays with impossible values, from which on a column is doubted and not a monitor: of 600 samples of five real stays
# 2 had more than 5 % outside in two stays, and none in three (log/icu.md).
FEWEST_OUTSIDE = 3
# Sentences of one error; a table in other units has a dozen such variables.
SHOWN = 6


def refuse(tallies: Mapping[str, Tally], ranges: Mapping[str, Range], treatment: Treatment) -> None:
    """Stop where more than one value in twenty of a variable is impossible, or most stays show another unit."""
    sentences = []
    for name, tally in tallies.items():
        if treatment.is_vouched(name) or name not in ranges:
            continue
        if is_impossible(name, tally, treatment):
            sentences.append(_impossible(name, tally, ranges[name], treatment))
        elif (unit := wrong_unit(name, tally, treatment)) is not None:
            sentences.append(_looks_like(name, tally, unit, treatment))
    if sentences:
        more = f" And {len(sentences) - SHOWN} further variables." if len(sentences) > SHOWN else ""
        raise DataError(" ".join(sentences[:SHOWN]) + more)


def is_impossible(name: str, tally: Tally, treatment: Treatment) -> bool:
    """Say whether too much is outside the range. In one or two stays a line may have come loose for all their time."""
    if tally.outside <= MOST_UNREADABLE * tally.known:
        return False
    is_another = 2 * tally.outside > tally.known > 1 and fitting_unit(name, tally, treatment) is not None
    return tally.stays_outside >= FEWEST_OUTSIDE or is_another


def fitting_unit(name: str, tally: Tally, treatment: Treatment) -> int | None:
    """The place of the unit that brings nearly all values into the range."""
    enough = [
        place
        for place, unit in enumerate(units.units(name))
        if unit != treatment.unit(name) and tally.fitting[place] >= (1 - MOST_UNREADABLE) * tally.known
    ]
    # Where two units fit, the one with more votes: kilopascals and milligrams both may.
    return max(enough, key=lambda place: (tally.votes[place], tally.fitting[place]), default=None)


def wrong_unit(name: str, tally: Tally, treatment: Treatment) -> Unit | None:
    """The unit that most stays vote for, where it is not the one that they are said to come in."""
    unit, share, usual_share = _favourite(name, tally, treatment)
    if unit is None or sum(tally.votes) < FEWEST_VOTERS or share < 0.75 - 0.5 * usual_share:
        return None
    return unit


def mixed_unit(name: str, tally: Tally, treatment: Treatment) -> tuple[Unit, int] | None:
    """A unit that far more stays vote for than do in real data, and how many do."""
    unit, share, usual_share = _favourite(name, tally, treatment)
    voters = sum(tally.votes)
    if unit is None or voters < FEWEST_VOTERS:
        return None
    chance = 3 * math.sqrt(usual_share * (1 - usual_share) / voters)
    if share < max(0.25 + 0.5 * usual_share, usual_share + chance):
        return None
    return unit, round(share * voters)


def _favourite(name: str, tally: Tally, treatment: Treatment) -> tuple[Unit | None, float, float]:
    """The other unit with most votes, its share of them, and the share that it has where the unit is right."""
    given, known = treatment.unit(name), units.units(name)
    others = [(votes, unit) for votes, unit in zip(tally.votes, known, strict=False) if unit != given]
    votes, unit = max(others, key=lambda pair: pair[0], default=(0, None))
    if unit is None or votes == 0:
        return None, 0.0, 0.0
    usual = USUAL[name]
    apart = units.distance(unit, _middle(name, given), usual)
    return unit, votes / sum(tally.votes), 0.5 * math.erfc(apart / (2 * usual.spread) / math.sqrt(2))


def _impossible(name: str, tally: Tally, limits: Range, treatment: Treatment) -> str:
    given, known = treatment.unit(name), units.units(name)
    first = (
        f"{tally.outside:,} of {tally.known:,} values of {name} lie outside {limits.low:g} to {limits.high:g} "
        f"{limits.unit}"
    )
    first += f" when they are read as {given.name}" if given != known[0] else ""
    others = [place for place, unit in enumerate(known) if unit != given]
    best = fitting_unit(name, tally, treatment)
    if best is not None:
        fits = "all" if tally.fitting[best] == tally.known else f"{tally.fitting[best]:,}"
        return f"{first}; as {known[best].name} {fits} would fit. Convert with --units {name}={known[best].name}."
    half = [place for place in others if 2 * tally.rescued[place] > tally.outside]
    best = max(half, key=lambda place: (tally.votes[place], tally.rescued[place]), default=None)
    if best is not None:
        return (
            f"{first}; as {known[best].name} {tally.rescued[best]:,} of these would fit, but not the others: two units "
            f"are mixed. Write all of them in {known[0].name}."
        )
    listed = f" (also not {', '.join(known[place].name for place in others)})" if others else ""
    return (
        f"{first}{listed}. Check what the column holds. If the values are right, say so with --units "
        f"{name}={_quoted(known[0].name)}: they are then {_verb(treatment)} and counted."
    )


def _looks_like(name: str, tally: Tally, unit: Unit, treatment: Treatment) -> str:
    given, own = treatment.unit(name), units.units(name)[0]
    votes = tally.votes[units.units(name).index(unit)]
    return (
        f"{name} looks like {unit.name}: in {votes:,} of {sum(tally.votes):,} stays its mean is nearer to "
        f"{_middle(name, unit):.4g} {unit.name} than to "
        f"{_middle(name, given):.4g} {given.name}. Convert with --units "
        f"{name}={_quoted(unit.name)}; or, if the unit is right, say so with --units {name}={_quoted(own.name)}."
    )


def _middle(name: str, unit: Unit) -> float:
    return unit.invert(USUAL[name].middle)


def _quoted(word: str) -> str:
    return f"'{word}'" if " " in word else word


def _verb(treatment: Treatment) -> str:
    return "dropped" if treatment.impossible == "drop" else "clipped"


def phrases(
    tallies: Mapping[str, Tally],
    ranges: Mapping[str, Range],
    treatment: Treatment,
    *,
    subject: str = "values of {}",
) -> dict[str, int]:
    """The counts of a store: what was dropped, clipped, converted, or is odd."""
    counts: dict[str, int] = {}
    for name, tally in tallies.items():
        if name in ranges:
            limits = ranges[name]
            where = f"{subject.format(name)} outside {limits.low:g} to {limits.high:g}, {_verb(treatment)}"
            counts[where] = tally.outside
        unit = treatment.unit(name)
        if name in treatment.units and not treatment.is_vouched(name):
            counts[f"{subject.format(name)} converted from {unit.name}"] = tally.known
        if (mixed := mixed_unit(name, tally, treatment)) is not None and not treatment.is_vouched(name):
            counts[f"stays whose {name} looks like {mixed[0].name} and not {unit.name}, kept as they are"] = (
                mixed[1]
            )
    return counts
