"""The time that a test waits for another process: so long that no slow or busy machine fails it."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 600.0


def wait_for(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"waited for {PATIENCE_S:g} s"
        time.sleep(0.01)
