"""Split ids into train, valid and test so that no subject is in two of them.

The place of a subject is a function of (seed, subject): it does not depend on the order of the rows, nor
on how many random numbers were drawn before.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from homeostat.errors import DataError
from homeostat.run import sealed

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The ids of each part. `by` names the unit that no two parts share; `fingerprint` is that of their store."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    by: str
    fingerprint: str

    def save(self, path: Path) -> None:
        """Write the splits, whole or not at all: a killed run leaves no half file to resume from."""
        sealed.write(path, json.dumps(asdict(self), indent=1).encode())

    def keep(self, path: Path) -> Self:
        """Save these splits once. A file that is there already must hold the same ones."""
        if not sealed.has(path):
            self.save(path)
        elif self.load(path).check_fingerprint(self.fingerprint) != self:
            raise DataError(
                f"{path} holds other splits than the configuration gives. Restore it, or start a new run."
            )
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        try:
            plain: dict[str, Any] = json.loads(sealed.read(path))
            return cls(**(plain | {part: tuple(plain[part]) for part in PARTS}))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path} is not a splits file ({error}). Its keys are train, valid, test (lists of ids), by "
                "and fingerprint; delete it to have it written again."
            ) from error

    def part(self, name: str) -> tuple[str, ...]:
        if name not in PARTS:
            raise DataError(f"There is no split {name!r}. Choose one of {', '.join(PARTS)}.")
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]

    def rows(self, ids: Sequence[str], part: str) -> np.ndarray:
        """Return the row numbers of a part in a store whose rows are `ids`, in the order of the split."""
        wanted = self.part(part)
        known = set(ids)
        absent = [identity for identity in wanted if identity not in known]
        if absent:
            raise DataError(
                f"{len(absent):,} ids of the {part} split are not in the data, the first is {absent[0]}. "
                "The splits were made for other data; delete splits.json or use the data they belong to."
            )
        return rows_of(ids, wanted)

    def check(self, subjects: Mapping[str, str], *, unit: str = "subject") -> Self:
        """Return these splits if no id occurs twice and no subject is in two parts."""
        for identity, count in Counter([*self.train, *self.valid, *self.test]).items():
            if count > 1:
                raise DataError(
                    f"Id {identity} occurs {count} times in the splits. An id belongs to one part."
                )
        seen: dict[str, str] = {}
        for part in PARTS:
            for subject in {subjects[identity] for identity in self.part(part)}:
                if subject in seen:
                    raise DataError(
                        f"{unit.capitalize()} {subject} is in both {seen[subject]} and {part}. "
                        f"Split by {unit} (--split-by {unit}), not by record."
                    )
                seen[subject] = part
        return self

    def check_fingerprint(self, fingerprint: str) -> Self:
        if self.fingerprint != fingerprint:
            raise DataError(
                f"The splits belong to data {self.fingerprint}, these are data {fingerprint}. "
                "Use the data that the splits were made for, or make new splits in a new run."
            )
        return self


def rows_of(ids: Sequence[str], wanted: Sequence[str]) -> NDArray[np.int64]:
    """Return the row numbers of some ids in a store whose rows are `ids`."""
    place = {identity: row for row, identity in enumerate(ids)}
    return np.array([place[identity] for identity in wanted], dtype=np.int64)


def lot(seed: int, *where: str) -> int:
    """A number that depends on the seed and the place alone: the same on every machine, in every order."""
    # A separator that no id contains: "1" and "23" must not draw the lot of "12" and "3".
    text = "\x1f".join([str(seed), *where])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def by_subject(
    ids: Sequence[str],
    subjects: Sequence[str],
    *,
    seed: int,
    fingerprint: str,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    strata: Sequence[object] | None = None,
    unit: str = "subject",
) -> Splits:
    """Send all records of a subject to one part; divide each stratum (by default one) by `fractions`."""
    # A billionth: 0.7 + 0.15 + 0.15 is not 1 in binary.
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"Fractions {fractions} of train, valid and test must be positive and sum to 1.")
    place = deal(ids, subjects, weights=fractions, seed=seed, strata=strata)
    return _collect(ids, subjects, [PARTS[part] for part in place], fingerprint=fingerprint, unit=unit)


def predefined(
    ids: Sequence[str],
    subjects: Sequence[str],
    parts: Sequence[str | None],
    *,
    fingerprint: str,
    unit: str = "subject",
) -> Splits:
    """Take the split that the data set comes with; ids whose part is None stay out."""
    foreign = set(parts) - {*PARTS, None}
    if foreign:
        raise DataError(
            f"Split names must be {', '.join(PARTS)} or nothing; found {sorted(map(str, foreign))}."
        )
    return _collect(ids, subjects, parts, fingerprint=fingerprint, unit=unit)


def folds(
    ids: Sequence[str],
    subjects: Sequence[str],
    *,
    count: int,
    seed: int,
    fingerprint: str,
    strata: Sequence[object] | None = None,
    unit: str = "subject",
) -> tuple[Splits, ...]:
    """Cut grouped, stratified folds: fold k tests on part k, validates on the next and trains on the rest."""
    groups = len(set(subjects))
    if not 3 <= count <= groups:
        raise DataError(f"{count} folds of {groups} {unit}s: ask for at least 3 and at most {groups} folds.")
    place = deal(ids, subjects, weights=[1 / count] * count, seed=seed, strata=strata)
    # The neighbour validates, so that each fold tests once and validates once.
    role = {0: "test", 1: "valid"}
    return tuple(
        _collect(
            ids,
            subjects,
            [role.get((part - fold) % count, "train") for part in place],
            fingerprint=fingerprint,
            unit=unit,
        )
        for fold in range(count)
    )


def leave_one_out(
    ids: Sequence[str],
    groups: Sequence[str],
    *,
    held_out: Sequence[str] = (),
    valid: int = 1,
    seed: int = 0,
    fingerprint: str,
    unit: str = "group",
) -> dict[str, Splits]:
    """Make one split per group (of `held_out`): test on it, validate on `valid` others, train on the rest."""
    names = sorted(set(groups))
    unknown = sorted(set(held_out) - set(names))
    if unknown:
        raise DataError(f"There is no {unit} {unknown[0]} in the data. There are: {', '.join(names)}.")
    # One to test and one to learn from, beside those that validate.
    if len(names) < valid + 2:
        raise DataError(
            f"Leave-one-out with {valid} for validation needs {valid + 2} {unit}s; there are {len(names)}."
        )
    splits = {}
    for test in held_out or names:
        others = sorted((name for name in names if name != test), key=lambda name: lot(seed, test, name))
        role = {test: "test", **dict.fromkeys(others[:valid], "valid")}
        parts = [role.get(group, "train") for group in groups]
        splits[test] = _collect(ids, groups, parts, fingerprint=fingerprint, unit=unit)
    return splits


def deal(
    ids: Sequence[str],
    subjects: Sequence[str],
    *,
    weights: Sequence[float],
    seed: int,
    strata: Sequence[object] | None = None,
) -> list[int]:
    """Return the part number of each id. Subjects go, largest first, to the part least filled with their stratum.

    A subject with records in several strata (discharged once, dead at the last stay) counts as its largest.
    """
    sizes = Counter(subjects)
    stratum = dict.fromkeys(sizes, "")
    for subject, label in zip(subjects, strata if strata is not None else [""] * len(ids), strict=True):
        stratum[subject] = max(stratum[subject], str(label))
    share = np.asarray(weights, dtype=float)
    place: dict[str, int] = {}
    for label in sorted(set(stratum.values())):
        members = [subject for subject in sizes if stratum[subject] == label]
        # Largest first: the small ones then fill what is left of the parts. Among equals the lot decides.
        members.sort(key=lambda subject: (-sizes[subject], lot(seed, "split", subject)))
        filled = np.where(share > 0, 0.0, np.inf)
        # Parts in an order of their own per stratum, so that small strata do not all favour the first part.
        order = np.array(sorted(range(len(share)), key=lambda part: lot(seed, label, str(part))))
        for subject in members:
            part = int(order[np.argmin(filled[order])])
            place[subject] = part
            # By its share: a part of 70 % takes seven where one of 10 % takes one.
            filled[part] += sizes[subject] / share[part]
    return [place[subject] for subject in subjects]


def _collect(
    ids: Sequence[str],
    subjects: Sequence[str],
    parts: Sequence[str | None],
    *,
    fingerprint: str,
    unit: str,
) -> Splits:
    chosen: dict[str, list[str]] = {part: [] for part in PARTS}
    for identity, part in zip(ids, parts, strict=True):
        if part is not None:
            chosen[part].append(identity)
    splits = Splits(
        train=tuple(chosen["train"]),
        valid=tuple(chosen["valid"]),
        test=tuple(chosen["test"]),
        by=unit,
        fingerprint=fingerprint,
    )
    return splits.check(dict(zip(ids, subjects, strict=True)), unit=unit)
