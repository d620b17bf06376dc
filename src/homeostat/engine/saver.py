"""Checkpoints of a running fit, written by one thread from a copy, so that training goes on meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeostat.engine import checkpoint
from homeostat.engine.state import State
from homeostat.errors import CheckpointError, ConfigError, OutOfResources
from homeostat.run import Run, manifest

# A cure goes back by one or two of them, and by one more when the same illness returns (heal.py).
GOOD = 3
"""Evaluations without an alarm that are kept to go back to."""


@dataclass(frozen=True, kw_only=True)
class SaveConfig:
    """Checkpoints."""

    save_every: int = 0
    """Steps between two checkpoints; 0 leaves it to the time alone."""
    save_every_s: float = 60.0
    """Seconds between two checkpoints: the most that a kill can cost."""
    keep: int = 3
    """Checkpoints in the ring, besides the best."""

    def __post_init__(self) -> None:
        if self.save_every < 0 or self.save_every_s <= 0:
            raise ConfigError(
                f"save_every {self.save_every} must not be negative and save_every_s {self.save_every_s} be positive."
            )
        if self.keep < 2:
            raise ConfigError(
                f"keep {self.keep} must be at least 2: a damaged newest checkpoint needs an older one."
            )


class Saver:
    """Keeps the ring of one run. A failed save never touches what is already there."""

    def __init__(self, run: Run, config: SaveConfig) -> None:
        self._run, self._config = run, config
        self.folder = run.checkpoints
        # One worker: two saves at a time would race for the ring and for the disk.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="homeostat-save")
        self._busy: Future[None] | None = None
        # A step is saved twice if it was interrupted before its evaluation and evaluated after the resume.
        self._saved, self._saved_at = (-1, -1), time.monotonic()
        self._best_step = -1

    def restore(self, state: State) -> list[str]:
        """Load the newest intact checkpoint, if there is any. Returns what had to be passed over, in sentences."""
        checkpoint.clean(self.folder)
        damaged: list[tuple[Path, str]] = []
        for path in reversed(checkpoint.ring(self.folder)):
            is_missing = not manifest.exists(path)
            if not is_missing and checkpoint.is_intact(path):
                state.load(checkpoint.read(path)["state"])
                self._saved = (state.step, state.scored)
                # Starting anew in silence would throw a run away because of a disk that can perhaps be mended.
                notes = [_passed_over(bad, how, path) for bad, how in damaged]
                self._prune()  # a kill may have come between the newest checkpoint and the end of the oldest
                return notes
            damaged.append((path, "is missing" if is_missing else "was changed after it was written"))
        if damaged:
            raise CheckpointError(
                f"All {len(damaged)} checkpoints in {self.folder} are damaged or missing "
                f"({damaged[0][0].name} {damaged[0][1]}). Restore one from a backup, or start a new run; this one is "
                "left as it is."
            )
        if any(event.get("step", 0) != 0 for event in self._run.events("step", "epoch", "score")):
            raise CheckpointError(
                f"{self.folder} holds no checkpoint, but {self._run.journal_file} tells of steps. Restore the "
                "checkpoints from a backup, or start a new run."
            )
        return []

    @property
    def is_new(self) -> bool:
        """Say whether nothing was restored or saved yet."""
        return self._saved == (-1, -1)

    def is_due(self, state: State) -> bool:
        """Say whether to save now; also raises what went wrong with the save before."""
        if self._busy is not None and self._busy.done():
            self.wait()
        if (state.step, state.scored) == self._saved:
            return False
        every = self._config.save_every
        return (
            bool(every and state.step % every == 0)
            or time.monotonic() - self._saved_at > self._config.save_every_s
        )

    def save(self, state: State, wait: bool = False) -> None:
        """Copy the state and write it behind the back of the training; `wait` returns when it is on the disk."""
        if (state.step, state.scored) != self._saved:
            self.wait()
            self._saved, self._saved_at = (state.step, state.scored), time.monotonic()
            # The copy is made here, not in the thread: the next step changes the tensors in place.
            self._busy = self._thread.submit(self._write, state.snapshot())
        if wait:
            self.wait()

    def rewind(self, state: State) -> None:
        """Save a state that was taken back, then drop what is later: a kill in between only repeats the cure."""
        self.wait()
        self._saved, self._saved_at, self._best_step = (state.step, state.scored), time.monotonic(), -1
        if state.best is None:
            checkpoint.remove(self.folder / "best.ckpt")
        # Saved first, dropped after: once a rollback removed a checkpoint that the thread was still writing
        # (log/setup.md).
        self._thread.submit(self._write, state.snapshot(), later_goes=True).result()

    def keep_good(self, state: State) -> None:
        """Keep the state of an evaluation at which nothing was wrong."""
        checkpoint.write(checkpoint.path_of(self.folder, state.step, "good"), {"state": state.snapshot()})
        for old in self._goods(state)[:-GOOD]:
            checkpoint.remove(old)

    def restore_good(self, state: State, back: int) -> bool:
        """Load the good state before last, by `back`, or the oldest there is; False if there is none."""
        goods = self._goods(state)
        if not goods:
            return False
        good = goods[max(len(goods) - back, 0)]
        if not checkpoint.is_intact(good):
            raise CheckpointError(
                f"{good} was changed or removed. Restore it from a backup, or start a new run."
            )
        state.load(checkpoint.read(good)["state"])
        return True

    def _goods(self, state: State) -> list[Path]:
        """Those up to this step: a run that was killed while it was taken back has later ones."""
        return [
            path for path in checkpoint.ring(self.folder, "good") if checkpoint.step_of(path) <= state.step
        ]

    def wait(self) -> None:
        """Wait for the save in progress and raise what went wrong with it."""
        if self._busy is not None:
            busy, self._busy = self._busy, None
            busy.result()

    def close(self, done: bool) -> None:
        """End the thread; a finished run needs no reserved space."""
        self._thread.shutdown()
        if done:
            checkpoint.release(self.folder)

    def reserve(self, state: State) -> None:
        """Set space for two checkpoints aside."""
        checkpoint.reserve(self.folder, 2 * self.size_of(state))

    def size_of(self, state: State) -> int:
        """Bytes of a full checkpoint: weights, two moments, the best weights, and their average."""
        weights: int = sum(value.nbytes for value in state.model.state_dict().values())
        copies = 4 + (state.average is not None)
        return weights * copies + 65536  # 64 KiB: what torch's file format adds to small models

    def _write(self, snapshot: dict[str, Any], later_goes: bool = False) -> None:
        path = checkpoint.path_of(self.folder, snapshot["step"])
        try:
            self._write_files(path, snapshot)
        except OutOfResources as reason:
            self._write_on_full_disk(path, snapshot, reason)
        if later_goes:
            for later in [*checkpoint.ring(self.folder), *checkpoint.ring(self.folder, "good")]:
                if checkpoint.step_of(later) > snapshot["step"]:
                    checkpoint.remove(later)
        self._prune()

    def _prune(self) -> None:
        for old in checkpoint.ring(self.folder)[: -self._config.keep]:
            checkpoint.remove(old)

    def _write_files(self, path: Path, snapshot: dict[str, Any]) -> None:
        best = snapshot["best"]
        if best is not None and best["step"] != self._best_step:
            checkpoint.write(self.folder / "best.ckpt", {"best": best})
            self._best_step = best["step"]
        checkpoint.write(path, {"state": snapshot})

    def _write_on_full_disk(self, path: Path, snapshot: dict[str, Any], reason: OutOfResources) -> None:
        checkpoint.release(self.folder)
        try:
            self._write_files(path, snapshot)
        except OutOfResources:
            kept = checkpoint.ring(self.folder)
            last = kept[-1].name if kept else "no checkpoint"
            raise OutOfResources(f"{reason} The last intact state is {last}.") from None
        raise OutOfResources(
            f"{reason} The state of step {snapshot['step']} was saved in the reserved space."
        )


def _passed_over(bad: Path, how: str, used: Path) -> str:
    """Take a checkpoint that is not used out of the ring, and say so."""
    if not manifest.exists(bad):
        checkpoint.remove(bad)
        return f"{bad.name} {how}; used {used.name}"
    return f"{checkpoint.set_aside(bad).name} {how}; used {used.name}"
