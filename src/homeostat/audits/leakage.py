"""Nobody is in two splits: by record, by subject, by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Splitting
from homeostat.data.splits import PARTS, Splits

# Hashing every sample of a large store takes minutes; a leak by copies shows in the first thousands.
CONTENTS = 4000
# Of copies by content, below this share the score hardly moves: look at the samples, and go on.
FEW = 0.01


@dataclass(frozen=True)
class Contents:
    """The samples themselves."""

    absent: ClassVar[str] = "contents are not at hand"

    of: Callable[[str], bytes]
    """Id -> what the sample consists of."""


@law("No id and no subject is in two splits.")
def leakage(splitting: Splitting) -> Finding | None:
    shared = _shared(splitting.splits, lambda identity: identity)
    if shared is not None:
        return _finding("id", "ids", *shared, "The splits were drawn apart from each other.")
    subjects = splitting.subjects
    if subjects is None:
        return None
    shared = _shared(splitting.splits, lambda identity: subjects[identity])
    cause = "The split was made by record (stay, image, cycle), and subjects have several."
    return None if shared is None else _finding("subject", "subjects", *shared, cause)


@law("No sample is in two splits under two names.", is_cheap=False)
def duplicates(splitting: Splitting, contents: Contents) -> Finding | None:
    known: dict[str, str] = {}

    def digest(identity: str) -> str:
        if identity not in known:
            known[identity] = hashlib.blake2b(contents.of(identity), digest_size=16).hexdigest()
        return known[identity]

    shared = _shared(splitting.splits, digest, CONTENTS)
    cause = "The same sample was stored under two ids, or one subject got the data or targets of another."
    return None if shared is None else _finding("content", "samples with the same content", *shared, cause)


def _shared(
    splits: Splits, key: Callable[[str], str], limit: int | None = None
) -> tuple[str, str, str, int, int] | None:
    keys: Mapping[str, dict[str, str]] = {
        part: {key(identity): identity for identity in splits.part(part)[:limit]} for part in PARTS
    }
    for one, other in combinations(PARTS, 2):
        both = keys[one].keys() & keys[other].keys()
        if both:
            # The least, so that the same run names the same sample each time.
            first = keys[one][min(both)]
            return one, other, first, len(both), len(keys[other])
    return None


def _finding(
    unit: str, units: str, one: str, other: str, first: str, count: int, of: int, cause: str
) -> Finding:
    return Finding(
        audit=duplicates.name if unit == "content" else leakage.name,
        severity="serious" if unit == "content" and count < FEW * of else "fatal",
        what=f"{count:,} of {of:,} {units} of {other} are also in {one}, the first is that of {first}.",
        evidence={"shared": count, "of": of, "unit": unit},
        cause=cause,
        advice="Split by subject, then train again: every score of this run rewards memory.",
    )
