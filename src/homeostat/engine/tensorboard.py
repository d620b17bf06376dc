"""The journal as TensorBoard events: behind a flag, if its package is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from homeostat.errors import ConfigError


class Events:
    """Writes numbers as TensorBoard events."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "tensorboard was asked for, but its package is not installed. Run `pip install tensorboard`, "
                "or leave --tensorboard out: the journal has the same numbers."
            ) from error
        # Torch waits 120 s by default: a kill would cost two minutes of points.
        self._writer = SummaryWriter(str(folder), flush_secs=5)

    def add(self, step: int, values: Mapping[str, float | bool]) -> None:
        """Write the numbers of one step."""
        for name, value in values.items():
            if not isinstance(value, bool):
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Bring the last numbers to the disk and end the writer's thread."""
        self._writer.close()
