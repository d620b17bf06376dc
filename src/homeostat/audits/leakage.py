"""Is somebody in two splits? By record, by subject, by content, and across the models that are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from itertools import combinations

from homeostat.audits.base import Audit, Case, Finding
from homeostat.data.splits import PARTS, Splits

# Hashing every sample of a large store takes minutes; a leak by copies shows in the first thousands.
CONTENTS = 4000
# Below this share the score hardly moves: look at the samples, and go on.
FEW = 0.01


def _check(case: Case) -> Finding | None:
    assert case.splits is not None
    return _records(case.splits) or _subjects(case) or _rivals(case)


def _records(splits: Splits) -> Finding | None:
    shared = _shared(splits, lambda identity: identity)
    return (
        None
        if shared is None
        else _finding("id", "ids", *shared, "The splits were drawn apart from each other.")
    )


def _subjects(case: Case) -> Finding | None:
    assert case.splits is not None
    subjects = case.subjects
    if subjects is None:
        return None
    shared = _shared(case.splits, lambda identity: subjects[identity])
    cause = "The split was made by record (stay, image, cycle), and subjects have several."
    return None if shared is None else _finding("subject", "subjects", *shared, cause)


def _check_content(case: Case) -> Finding | None:
    assert case.splits is not None
    assert case.content is not None
    content = case.content
    known: dict[str, str] = {}

    def digest(identity: str) -> str:
        if identity not in known:
            known[identity] = hashlib.blake2b(content(identity), digest_size=16).hexdigest()
        return known[identity]

    shared = _shared(case.splits, digest, CONTENTS)
    cause = "The same sample was stored under two ids, or one subject got the data or targets of another."
    return None if shared is None else _finding("content", "samples with the same content", *shared, cause)


def _rivals(case: Case) -> Finding | None:
    assert case.splits is not None
    for name, theirs in case.rivals.items():
        for part in ("train", "valid"):
            both = set(theirs.part(part)) & set(case.splits.test)
            if both:
                share = len(both) / max(len(case.splits.test), 1)
                return Finding(
                    audit=leakage.name,
                    severity="fatal",
                    what=f"{len(both):,} test ids ({share:.0%}) are in the {part} split of {name}, which is "
                    "compared here.",
                    evidence={"shared": len(both), "share": share},
                    cause="The models were split apart from each other, and one test set was drawn later.",
                    advice="Train every model of a comparison on the same splits.json.",
                )
    return None


def _shared(
    splits: Splits, key: Callable[[str], str], limit: int | None = None
) -> tuple[str, str, str, int, int] | None:
    keys: Mapping[str, dict[str, str]] = {
        part: {key(identity): identity for identity in splits.part(part)[:limit]} for part in PARTS
    }
    for one, other in combinations(PARTS, 2):
        both = keys[one].keys() & keys[other].keys()
        if both:
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


leakage = Audit(
    name="leakage",
    law="No id and no subject is in two splits, or in the training data of a model that it is compared with.",
    needs=("splits",),
    check=_check,
)

duplicates = Audit(
    name="duplicates",
    law="No sample is in two splits under two names.",
    needs=("splits", "content"),
    check=_check_content,
    is_cheap=False,
)
