"""Who is tested by a model that never saw whom? The official split, each donor in turn, or grouped folds."""

from __future__ import annotations

import numpy as np

from homeostat.data.splits import Splits, by_subject, folds, leave_one_out, predefined
from homeostat.data.store import Store
from homeostat.recipes.cell.config import Config, Protocol

# From this many groups on, one child run for each costs more than it tells.
FEW = 12
OFFICIAL: Protocol = "official"


def subjects_of(store: Store) -> list[str]:
    """Whose each volume is; without declared groups each is its own."""
    groups = [str(group) for group in store["group"]]
    return groups if any(groups) else [str(volume) for volume in store["volume"]]


def has_groups(store: Store) -> bool:
    return any(str(group) for group in store["group"])


def choose(config: Config, store: Store) -> tuple[Protocol, str]:
    """The protocol and the reason for it."""
    if config.protocol != "auto":
        return config.protocol, "asked for"
    if any(str(part) for part in store["part"]):
        return OFFICIAL, "the data come with a split"
    groups = len(set(subjects_of(store)))
    if has_groups(store) and 3 <= groups <= FEW:
        return "leave-one-out", f"there are {groups} groups, and one of them can be a lucky one"
    return "folds", f"there are {groups} groups"


def splits(config: Config, store: Store, protocol: str) -> dict[str, Splits]:
    """Splits by the name of their child runs, of volumes with a known label."""
    known = np.isfinite(store["label"])
    ids = [str(volume) for volume, is_known in zip(store["volume"], known, strict=True) if is_known]
    subjects = [name for name, is_known in zip(subjects_of(store), known, strict=True) if is_known]
    strata = [str(value) for value in store["label"][known]]
    unit = str(store.meta["group_name"]) or "volume"
    if protocol == OFFICIAL:
        return {OFFICIAL: official(config, store, ids, subjects, known)}
    if protocol == "leave-one-out":
        return leave_one_out(
            ids,
            subjects,
            held_out=config.held_out,
            seed=config.split_seed,
            fingerprint=store.fingerprint,
            unit=unit,
        )
    dealt = folds(
        ids,
        subjects,
        count=config.folds,
        seed=config.split_seed,
        fingerprint=store.fingerprint,
        strata=strata,
        unit=unit,
    )
    return {f"fold{number}": split for number, split in enumerate(dealt)}


def official(config: Config, store: Store, ids: list[str], subjects: list[str], known: np.ndarray) -> Splits:
    """As the data say; a split without a validation part gets one out of its training part, subject by subject."""
    parts: list[str | None] = [str(part) or None for part in store["part"][known]]
    if "valid" not in parts:
        train = [place for place, part in enumerate(parts) if part == "train"]
        dealt = by_subject(
            [ids[place] for place in train],
            [subjects[place] for place in train],
            seed=config.split_seed,
            fingerprint=store.fingerprint,
            fractions=(0.85, 0.15, 0.0),
            strata=[str(store["label"][known][place]) for place in train],
        )
        chosen = set(dealt.valid)
        parts = ["valid" if name in chosen else part for name, part in zip(ids, parts, strict=True)]
    return predefined(ids, subjects, parts, fingerprint=store.fingerprint)
