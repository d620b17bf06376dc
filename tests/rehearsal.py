"""Runs of recipes for tests: made as the command line would make them, and interrupted where a test wants it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from homeostat.config import to_plain
from homeostat.errors import Interrupted
from homeostat.guards.base import Alarm, Event
from homeostat.guards.finite import Finite
from homeostat.run import Run, create

NewRun = Callable[[Path, Any], Run]


def maker(recipe: str, data: Path) -> NewRun:
    """(folder, configuration) -> a new run of this recipe on these data."""

    def make(folder: Path, config: Any) -> Run:
        plain = {"recipe": recipe, "data": str(data), "stores": str(folder.parent / "stores")}
        return create(folder, {**plain, "config": to_plain(config)})

    return make


@contextmanager
def interrupted_at(event: int) -> Iterator[None]:
    """The run inside hears a request to stop when its guards hear their so-manieth event."""
    events, watch = itertools.count(), Finite.watch

    def stopping(guard: Finite, heard: Event) -> Alarm | None:
        if next(events) == event:
            raise Interrupted("stopped by the test")
        return watch(guard, heard)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Finite, "watch", stopping)
        with pytest.raises(Interrupted):
            yield
