"""The names and the writing of prediction files: of a run, and of each of its children.

predictions/test.parquet is the run's own model, predictions/test-NAME.parquet the model NAME beside it. A file of a
child run names the digest of the state that predicted it, so a stale one is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from homeostat import console
from homeostat.engine import checkpoint
from homeostat.evaluate import predictions as files
from homeostat.evaluate.predictions import Predictions
from homeostat.run import Run, sealed


def method_of(child: str) -> str:
    """The method in the name of a child run, SPLIT.METHOD.K. A split may have dots in its name, a method has none."""
    # From the right, because groups are named by people and may hold dots.
    return child.rsplit(".", 2)[-2] if child.count(".") >= 2 else ""


def file_of(run: Run, part: str, model: str, main: str) -> Path:
    """Where the predictions of a model on a part are kept."""
    return run.predictions / (f"{part}.parquet" if model == main else f"{part}-{model}.parquet")


def write(run: Run, answers: Iterable[Predictions], *, main: str) -> None:
    """Write one file per model and part."""
    source = sources(run)
    for each in answers:
        files.write(each, file_of(run, each.split, each.model, main), source)


def paths(run: Run) -> list[Path]:
    """Return all prediction files of a run, its own model's first."""
    names = sealed.files(run.predictions, "*.parquet")
    # The run's own file has the shortest name: those of others add "-NAME".
    return sorted(names, key=lambda path: (len(path.stem), path.stem))


def read_all(run: Run) -> list[Predictions]:
    """All prediction files of a run, its own model's first."""
    return [files.read(path) for path in paths(run)]


def holds(run: Run) -> bool:
    """Say whether what was learnt in a run, and its predictions, are as they were written; tell what is not."""
    problems = sealed.problems(run.folder)
    lost = [name for name in problems if name.startswith(("checkpoints/", "predictions/"))]
    for name in lost:
        console.warn(f"{problems[name]} It is made again.")
    return not lost


def is_current(run: Run) -> bool:
    """Say whether the predictions of a run come from its present state."""
    source = digest(run)
    answers = read_all(run)
    return bool(answers) and all(each.source == source for each in answers)


def digest(run: Run) -> str:
    """A digest of everything that was learnt in a run and in the runs inside it."""
    return hashlib.sha256("".join(sources(run).values()).encode()).hexdigest()


def sources(run: Run) -> dict[str, str]:
    """The digests of what was learnt, by the names of the files from the folder of the run."""
    own = sealed.listed(run.folder)
    learnt = {name: sha256 for name, sha256 in own.items() if name.startswith("fitted/")}
    if ring := checkpoint.ring(run.checkpoints):
        learnt[f"{run.checkpoints.name}/{ring[-1].name}"] = sealed.digest(ring[-1])
    for child in run.children():
        where = child.folder.relative_to(run.folder).as_posix()
        learnt |= {f"{where}/{name}": sha256 for name, sha256 in sources(child).items()}
    return dict(sorted(learnt.items()))
