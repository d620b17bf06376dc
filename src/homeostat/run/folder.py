"""The folder of a run: the names of its files, the runs inside it, and what is read from it at any time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeostat.errors import RunError, unwritable
from homeostat.files import clear_below
from homeostat.run import journal, manifest, sealed, status
from homeostat.run.display import Facts, html
from homeostat.run.life import Life, alive
from homeostat.run.lock import is_locked


@dataclass(frozen=True)
class Name:
    """The name of a file or folder of a run. Read from a run, it is the path there."""

    text: str

    def __get__(self, run: Run, kind: type[Run]) -> Path:
        return run.folder / self.text


class Run:
    """A folder of files about one training. Anyone may construct it; a process owns it while it is `active()`.

    Compose runs by `run.child(name)`. No other code knows the names of the files.
    """

    __slots__ = ("_life", "_origin", "folder")  # so that no name of a file can be set

    config_file = Name("config.json")
    """{"recipe": name, "data": path, "config": every setting}."""
    environment_file = Name("environment.json")
    """Versions, git, host, device, precision and the reasons of choices."""
    splits_file = Name("splits.json")
    """Ids per split, and the fingerprint of the data."""
    journal_file = Name("journal.jsonl")
    """One event per line. Its lock says whether the run lives."""
    status_file = Name("status.json")
    plan_file = Name("plan.json")
    """The epochs that were asked for, and from which step on: {"epochs": [[step, epochs, evaluate_every], ...]}."""
    manifest_file = Name(manifest.NAME)
    """The files that are read again, with their digests."""
    metrics_file = Name("metrics.json")
    ledger_file = Name("ledger.jsonl")
    """One line for each time that the test split was read."""
    findings_file = Name("findings.json")
    """{"tried": [names of audits], "findings": [{audit, severity, what, cause, advice, command}, ...]}."""
    report_file = Name("report.html")
    console_file = Name("console.txt")
    """The output of a detached run."""
    fitted = Name("fitted")
    """Fitted state besides weights: scalers, curves, trees, stacks."""
    predictions = Name("predictions")
    tensorboard = Name("tensorboard")
    export = Name("export")
    """Weights for others, as safetensors."""
    _children = Name(manifest.CHILDREN)

    def __init__(self, folder: Path, *, origin: Path | None = None) -> None:
        self.folder = folder
        self._origin = folder if origin is None else origin
        """Where checkpoints are: in this folder, or for a shadow in that of the run itself."""
        self._life: Life | None = None
        """There while this object is active."""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def checkpoints(self) -> Path:
        return self._origin / "checkpoints"

    def child(self, name: str) -> Run:
        """Return the run of that name inside this one. Its folder is made by the first file that is written there."""
        # These characters mean the same in every file system and need no quotes in any shell.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=-]*", name):
            raise RunError(f"A child run cannot be called {name!r}. Use letters, digits and . _ = - only.")
        return self._inside(name)

    def children(self) -> list[Run]:
        """Return all runs inside this one, by name."""
        if not self._children.is_dir():
            return []
        return [self._inside(path.name) for path in sorted(self._children.iterdir()) if path.is_dir()]

    def family(self, name: str = "") -> Iterator[tuple[str, Run]]:
        """Yield this run, then every run inside it, each with its name from here."""
        yield name, self
        for child in self.children():
            yield from child.family(f"{name}/{child.name}" if name else child.name)

    def _inside(self, name: str) -> Run:
        return Run(self._children / name, origin=self._origin / self._children.name / name)

    @property
    def is_shadow(self) -> bool:
        """Say whether this is a copy that nobody reads again."""
        return self._origin != self.folder

    def shadow(self, folder: Path) -> Run:
        """Copy this run for a further process of the same training, so that each process owns what it writes.

        Checkpoints are not copied: those of the run itself are read.
        """
        if self.folder.is_dir():
            shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(self.checkpoints.name))
        return Run(folder, origin=self._origin)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Own the folder: lock it, keep its status alive, and record how it ended. May be nested."""
        if self._life is not None:
            yield
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(error, self.folder) from error
        with alive(self.name, self.journal_file, self.status_file) as self._life:
            try:
                sealed.begin(self.folder)
                clear_below(self.folder)
                yield
            finally:
                self._life = None

    def journal(self, kind: str, **values: Any) -> None:
        """Append one event. It reaches the disk within about a second, not within a step."""
        self._owned().journal(kind, **values)

    def flush(self) -> None:
        """Bring the journal to the disk now."""
        self._owned().flush()

    def progress(self, **values: Any) -> None:
        """Note the step, total, ETA or score; the heartbeat writes them down."""
        self._owned().progress(**values)

    def _owned(self) -> Life:
        if self._life is None:
            raise RunError(
                f"Run {self.name} is not active; write to its journal inside `with run.active():`."
            )
        return self._life

    def environment(self, **values: Any) -> None:
        """Add to environment.json."""
        known = self.kept(self.environment_file)
        sealed.write_json(self.environment_file, {**known, **values})

    def config(self) -> dict[str, Any]:
        """Return config.json."""
        manifest.load(self.folder)
        return sealed.read_json(self.config_file)

    def kept(self, file: Path) -> dict[str, Any]:
        """Return the object in a file of this run; empty where none was written."""
        return sealed.read_json(file) if sealed.has(file) else {}

    def events(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """Read the journal, all of it or some kinds."""
        return journal.events(self.journal_file, *kinds)

    def status(self) -> dict[str, Any]:
        """Return status.json. The state of a run whose process is gone without a word is `died`."""
        values = status.read(self.status_file)
        if values["state"] == "running" and self._life is None and not self.is_alive():
            values |= {"state": "died", "reason": "its process ended without a word; it can be resumed"}
        return values

    def is_alive(self) -> bool:
        """Say whether some process owns this run."""
        return is_locked(self.journal_file)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {self.status()['state']})"

    def _repr_html_(self) -> str:
        """Show the run in a notebook."""
        config, metrics = self.kept(self.config_file), self.kept(self.metrics_file)
        facts = Facts(
            folder=str(self.folder),
            recipe=str(config.get("recipe", "")),
            status=self.status(),
            headline=metrics.get("headline"),
            alarms=[str(event.get("sentence", "")) for event in self.events("alarm")],
            children={child.name: child.status() for child in self.children()},
        )
        return html(facts)
