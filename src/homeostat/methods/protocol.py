"""A protocol says which subjects train, validate and test, in how many splits, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from homeostat.config import Bound
from homeostat.data.splits import PARTS, Splits, by_subject, deal, folds, leave_one_out, predefined
from homeostat.errors import DataError

Name = Literal["official", "by-subject", "leave-one-out", "folds"]
Choice = Literal["auto", "official", "by-subject", "leave-one-out", "folds"]
Folds = Annotated[int, Bound(at_least=3, why=": one to test, one to validate, one to train")]

# One training per group. With more groups it costs more than it tells.
MOST_GROUPS = 12


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Splits by the names of their child runs."""

    name: Name
    reason: str
    splits: Mapping[str, Splits]

    @property
    def is_single(self) -> bool:
        return len(self.splits) == 1


@dataclass(frozen=True, kw_only=True)
class Roster:
    """Everything that a protocol may be chosen by: who takes part, and what the data say about them."""

    ids: Sequence[str]
    groups: Sequence[str]
    """The subject of each id, or the larger group that must stay together."""
    fingerprint: str
    parts: Sequence[str | None] = ()
    """The split that the data come with; empty where there is none."""
    strata: Sequence[str] | None = None
    unit: str = "subject"
    has_groups: bool = True
    """False: every id is a group of its own, so that leaving one out is no protocol."""

    @property
    def count(self) -> int:
        return len(set(self.groups))


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The choices of a user about a protocol."""

    name: Choice = "auto"
    seed: int = 0
    held_out: tuple[str, ...] = ()
    folds: int = 5
    spared: int = 1
    """Groups that leave-one-out spares for validation."""
    single: str = "split"
    """The name of the split where there is one."""


def choose(roster: Roster, wish: Wish, *, otherwise: Name = "folds") -> Protocol:
    """The protocol that is asked for. Automatically: official, then leave-one-out for few groups, then `otherwise`."""
    name, reason = _choice(roster, wish, otherwise)
    makers = {
        "official": _official,
        "by-subject": _by_subject,
        "leave-one-out": _leave_one_out,
        "folds": _folds,
    }
    return Protocol(name=name, reason=reason, splits=makers[name](roster, wish))


def _choice(roster: Roster, wish: Wish, otherwise: Name) -> tuple[Name, str]:
    if wish.name != "auto":
        return wish.name, "asked for"
    # The published split first: its scores are the only ones that can stand beside those of others.
    if any(roster.parts):
        return "official", "the data come with a split"
    # One group to test and one to learn from.
    fewest = 2 + wish.spared
    if roster.has_groups and fewest <= roster.count <= MOST_GROUPS:
        return "leave-one-out", f"there are {roster.count} groups, and one of them can be a lucky one"
    return otherwise, f"there are {roster.count} groups"


def _official(roster: Roster, wish: Wish) -> dict[str, Splits]:
    """As the data say. Without a validation part, subjects of the training part are dealt to one."""
    if not any(roster.parts):
        raise DataError("These data come without a split. Use --protocol auto, or another one.")
    parts = list(roster.parts)
    if "valid" not in parts and wish.spared:
        train = [place for place, part in enumerate(parts) if part == "train"]
        dealt = by_subject(
            [roster.ids[place] for place in train],
            [roster.groups[place] for place in train],
            seed=wish.seed,
            fingerprint=roster.fingerprint,
            # The share of validation that `by_subject` gives by default.
            fractions=(0.85, 0.15, 0.0),
            strata=None if roster.strata is None else [roster.strata[place] for place in train],
        )
        chosen = set(dealt.valid)
        parts = ["valid" if name in chosen else part for name, part in zip(roster.ids, parts, strict=True)]
    split = predefined(roster.ids, roster.groups, parts, fingerprint=roster.fingerprint, unit=roster.unit)
    return {wish.single: split}


def _by_subject(roster: Roster, wish: Wish) -> dict[str, Splits]:
    if roster.count < len(PARTS):
        raise DataError(
            f"A split by {roster.unit} needs {len(PARTS)} {roster.unit}s at least; there are {roster.count}. "
            "Use --protocol leave-one-out, or add data."
        )
    split = by_subject(
        roster.ids,
        roster.groups,
        seed=wish.seed,
        fingerprint=roster.fingerprint,
        strata=roster.strata,
        unit=roster.unit,
    )
    return {wish.single: split}


def _leave_one_out(roster: Roster, wish: Wish) -> dict[str, Splits]:
    splits = leave_one_out(
        roster.ids,
        roster.groups,
        held_out=wish.held_out,
        valid=wish.spared,
        seed=wish.seed,
        fingerprint=roster.fingerprint,
        unit=roster.unit,
    )
    return {folder: splits[group] for group, folder in _folders(list(splits)).items()}


def _folds(roster: Roster, wish: Wish) -> dict[str, Splits]:
    dealt = folds(
        roster.ids,
        roster.groups,
        count=wish.folds,
        seed=wish.seed,
        fingerprint=roster.fingerprint,
        strata=roster.strata,
        unit=roster.unit,
    )
    return {f"fold{number}": split for number, split in enumerate(dealt)}


def _folders(groups: Sequence[str]) -> dict[str, str]:
    """A name for the child runs of each group. Groups are named by people; folders cannot hold every character."""
    names = {group: re.sub(r"[^A-Za-z0-9_=-]", "-", group).lstrip("-_=") or "group" for group in groups}
    taken: set[str] = set()
    for group, name in names.items():
        free, number = name, 2
        while free in taken:
            free, number = f"{name}-{number}", number + 1
        taken.add(free)
        names[group] = free
    return names


def inner_folds(roster: Roster, count: int, seed: int) -> Protocol:
    """Folds inside a training part: each is held out once, as `valid`, and learnt from otherwise; nothing is tested."""
    if not 2 <= count <= roster.count:
        raise DataError(
            f"{count} folds of {roster.count} {roster.unit}s: ask for at least 2 and at most {roster.count} folds."
        )
    place = deal(roster.ids, roster.groups, weights=[1 / count] * count, seed=seed, strata=roster.strata)
    splits = {
        f"fold{fold}": Splits(
            train=tuple(name for name, part in zip(roster.ids, place, strict=True) if part != fold),
            valid=tuple(name for name, part in zip(roster.ids, place, strict=True) if part == fold),
            test=(),
            by=roster.unit,
            fingerprint=roster.fingerprint,
        )
        for fold in range(count)
    }
    return Protocol(name="folds", reason="members are combined out of fold", splits=splits)
