"""The names and the writing of prediction files: of a run, and of each of its children.

predictions/test.parquet is the run's own model, predictions/test-NAME.parquet the model NAME beside it. A file of a
child run names the digest of the state that predicted it, so a stale one is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from homeostat.engine import checkpoint
from homeostat.evaluate import predictions as files
from homeostat.evaluate.predictions import Predictions
from homeostat.methods import fitted
from homeostat.run import Run


def method_of(child: str) -> str:
    """The method in the name of a child run, SPLIT.METHOD.K. A split may have dots in its name, a method has none."""
    # From the right, because groups are named by people and may hold dots.
    return child.rsplit(".", 2)[-2] if child.count(".") >= 2 else ""


def file_of(run: Run, part: str, model: str, main: str) -> Path:
    """Where the predictions of a model on a part are kept."""
    return run.predictions / (f"{part}.parquet" if model == main else f"{part}-{model}.parquet")


def write(run: Run, answers: Iterable[Predictions], *, main: str) -> None:
    """Write one file per model and part."""
    for each in answers:
        files.write(each, file_of(run, each.split, each.model, main))


def read_all(run: Run) -> list[Predictions]:
    """All prediction files of a run, its own model's first."""
    # The run's own file has the shortest name: those of others add "-NAME".
    paths = sorted(run.predictions.glob("*.parquet"), key=lambda path: (len(path.stem), path.stem))
    return [files.read(path) for path in paths]


def is_current(run: Run) -> bool:
    """Say whether the predictions of a run come from its present state."""
    paths = list(run.predictions.glob("*.parquet"))
    source = digest(run)
    return bool(paths) and all(files.read(path).source == source for path in paths)


def digest(run: Run) -> str:
    """A digest of everything that was learnt in a run and in the runs inside it."""
    sealed = hashlib.sha256()
    if run.checkpoints.is_dir() and (ring := checkpoint.ring(run.checkpoints)):
        # The checksum beside it, not the file: hundreds of MB need not be read for each look.
        sealed.update(checkpoint.seal_of(ring[-1]).read_bytes())
    if fitted.manifest_file(run).exists():
        sealed.update(fitted.manifest_file(run).read_bytes())
    for child in run.children():
        sealed.update(digest(child).encode())
    return sealed.hexdigest()
