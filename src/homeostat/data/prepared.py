"""Keep in a run what its preparation counted, and read it there: a run outlives the store that it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeostat.data.drift import PROFILE
from homeostat.data.store import Store
from homeostat.run import Run

KEY = "data"
"""The name of the counts in environment.json."""


def keep(run: Run, store: Store) -> None:
    """Write the counts and profiles of a store beside the environment of a run."""
    run.environment(
        **{
            KEY: {
                "store": store.path.name,
                "counts": {what: count for what, count in store.counts.items() if count},
                PROFILE: store.meta.get(PROFILE, []),
            }
        }
    )


def kept(run: Run) -> Mapping[str, Any]:
    """Return the counts and profiles of a run; empty for one of an earlier version."""
    about = run.kept(run.environment_file)
    held = about.get(KEY, {})
    return held if isinstance(held, dict) else {}


def counts(run: Run) -> Sequence[str]:
    """List what the preparation dropped, clipped, converted or found odd, one sentence each."""
    return [f"{count:,} {what}" for what, count in kept(run).get("counts", {}).items()]


def profiles(run: Run) -> Sequence[Mapping[str, Any]]:
    """Return the profiles of the variables of the training data."""
    held: Sequence[Mapping[str, Any]] = kept(run).get(PROFILE, [])
    return held
