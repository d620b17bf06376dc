"""What is a run? A folder. This is the only code that knows the names of the files in it."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from homeostat.errors import (
    Halted,
    HomeostatError,
    Interrupted,
    InUse,
    OutOfResources,
    RunError,
    exit_code_of,
    unwritable,
)
from homeostat.files import read_json, write_json

Phase = Literal["running", "done", "halted", "failed", "interrupted"]

# Long enough not to matter for the disk, short enough that `homeostat runs` shows a live run.
HEARTBEAT_S = 5.0
# The journal waits in memory for this long, so that no step waits for the disk.
FLUSH_S = 1.0
# The state before the first step, which every training can make again.
_UNTRAINED = re.compile(r"\w+-0+\.ckpt")


class Run:
    """A folder of files about one training. Compose runs by `run.child(name)`."""

    def __init__(self, folder: Path, *, writes: bool = True, origin: Path | None = None) -> None:
        self.folder = folder
        self._writes = writes
        """False for the further processes of one training: they compute, and the first one writes."""
        self._origin = origin or folder
        """Where the checkpoints are; another folder than this one for a shadow."""
        self._status: dict[str, Any] = {}
        self._journal: IO[str] | None = None
        self._beat = 0.0
        self._depth = 0
        self._write = threading.Lock()

    # The contract: every file name of a run, once.
    @property
    def config_file(self) -> Path:
        return self.folder / "config.json"

    @property
    def environment_file(self) -> Path:
        return self.folder / "environment.json"

    @property
    def splits_file(self) -> Path:
        return self.folder / "splits.json"

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def status_file(self) -> Path:
        return self.folder / "status.json"

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.json"

    @property
    def ledger_file(self) -> Path:
        return self.folder / "ledger.jsonl"

    @property
    def findings_file(self) -> Path:
        """{"tried": [names of audits], "findings": [{audit, severity, what, cause, advice, command}, ...]}."""
        return self.folder / "findings.json"

    @property
    def report_file(self) -> Path:
        return self.folder / "report.html"

    @property
    def console_file(self) -> Path:
        """What a detached run printed."""
        return self.folder / "console.txt"

    @property
    def checkpoints(self) -> Path:
        return self._origin / "checkpoints"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions"

    @property
    def tensorboard(self) -> Path:
        return self.folder / "tensorboard"

    @property
    def fitted(self) -> Path:
        """Fitted state besides weights."""
        return self.folder / "fitted"

    @property
    def export(self) -> Path:
        return self.folder / "export"

    @property
    def name(self) -> str:
        return self.folder.name

    def child(self, name: str) -> Run:
        """Return the run of that name inside this one; its folder is made on first use."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=-]*", name):
            raise RunError(f"A child run cannot be called {name!r}. Use letters, digits and . _ = - only.")
        folder = self.folder / "children" / name
        _make_folder(folder)
        return self._inner(folder)

    def children(self) -> list[Run]:
        """All runs inside this one, by name."""
        folder = self.folder / "children"
        return (
            [self._inner(path) for path in sorted(folder.iterdir()) if path.is_dir()]
            if folder.is_dir()
            else []
        )

    def _inner(self, folder: Path) -> Run:
        return Run(folder, writes=self._writes, origin=self._origin / "children" / folder.name)

    def follower(self) -> Run:
        """This run for a further process of its training, which leaves journal and status to the first."""
        return Run(self.folder, writes=False, origin=self._origin)

    def shadow(self, folder: Path) -> Run:
        """This run for a further process of its recipe, which writes whole files: a copy that nobody reads again.

        Checkpoints are not copied: those of the run itself are read.
        """
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(self.checkpoints.name))
        return Run(folder, writes=False, origin=self._origin)

    # What is written while the run is alive.
    @contextmanager
    def active(self) -> Iterator[None]:
        """Own the folder: lock it, keep its status alive, and record how it ended. May be nested."""
        if self._depth or not self._writes:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self._journal = _locked(self.journal_file, self.name)
        self._depth = 1
        self._status = {
            "state": "running",
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": now(),
        }
        self._save_status()
        stop = threading.Event()
        pulse = threading.Thread(target=self._pulse, args=(stop,), name="homeostat-heartbeat", daemon=True)
        pulse.start()
        try:
            yield
        except BaseException as error:
            self._end(stop, pulse, *_verdict(error), error)
            raise
        else:
            self._end(stop, pulse, "done", "", None)
        finally:
            self._depth = 0
            with suppress(
                OSError
            ):  # lines that found no room; `_end` has said so, or the error that came before
                self._journal.close()
            self._journal = None

    def _end(
        self,
        stop: threading.Event,
        pulse: threading.Thread,
        state: Phase,
        reason: str,
        error: BaseException | None,
    ) -> None:
        stop.set()
        pulse.join()
        try:
            if state == "failed" and error is not None:
                self.journal("failed", reason=reason, traceback=traceback.format_exception(error))
            self._status["eta_s"] = 0 if state == "done" else None
            self._status |= {"state": state, "reason": reason, "exit_code": exit_code_of(error)}
            self._save_status()
            self.flush()
        except OutOfResources:
            # The disk that ended the run cannot hold this news either; the exit code and the terminal do.
            if error is None:
                raise

    def _pulse(self, stop: threading.Event) -> None:
        while not stop.wait(FLUSH_S):
            try:
                self.flush()
                if time.monotonic() - self._beat > HEARTBEAT_S:
                    self._save_status()
            except HomeostatError:
                continue  # the next checkpoint meets the same disk, on the thread that can end the run

    def progress(self, **values: Any) -> None:
        """Note the step, total, ETA or score; the heartbeat writes them down."""
        self._status |= values

    def journal(self, kind: str, **values: Any) -> None:
        """Append one event. It reaches the disk within about a second, not within a step."""
        if not self._writes:
            return
        if self._journal is None:
            raise RunError(
                f"Run {self.name} is not active; write to its journal inside `with run.active():`."
            )
        line = _as_json({"time": now(), "kind": kind, **values})
        with self._write:
            try:
                self._journal.write(line + "\n")
            except OSError as error:
                raise unwritable(error, self.journal_file) from error

    def flush(self) -> None:
        """Bring the journal to the disk now."""
        with self._write:
            try:
                if self._journal is not None:
                    self._journal.flush()
            except OSError as error:
                raise unwritable(error, self.journal_file) from error

    def _save_status(self) -> None:
        with self._write:
            write_json(self.status_file, {**self._status, "heartbeat": now()}, durable=False)
            self._beat = time.monotonic()

    # What can be read at any time, from any process.
    def status(self) -> dict[str, Any]:
        """Return status.json; a run whose process is gone without a word is told as `died`."""
        status = read_json(self.status_file) if self.status_file.exists() else {"state": "new"}
        if status.get("state") == "running" and self._depth == 0 and not self.is_alive():
            status |= {"state": "died", "reason": "its process ended without a word; it can be resumed"}
        return status

    def is_alive(self) -> bool:
        """Say whether some process holds this run. Asks for its lock, so neither a stale pid nor a clock can lie."""
        if not self.journal_file.exists():
            return False
        try:
            _locked(self.journal_file, self.name, mode="r").close()
        except RunError:
            return True
        return False

    def is_unbegun(self) -> bool:
        """Say whether it failed before anything was learnt: then its name is free for another try."""
        if self.status().get("state") != "failed":
            return False
        made = [path for folder in (self.predictions, self.export) for path in folder.glob("*")]
        learnt = [path for path in self.folder.rglob("*.ckpt") if not _UNTRAINED.fullmatch(path.name)]
        return not (made or learnt)

    def _clear(self) -> None:
        """Take back what a failed start left behind; files that are not a run's stay."""
        with _locked(self.journal_file, self.name) as journal:
            if not self.is_unbegun():
                raise _taken(self.folder)
            journal.truncate(0)
            for folder in (self.checkpoints, self.fitted, self.folder / "children", self.tensorboard):
                if folder.exists():
                    shutil.rmtree(folder)
            for file in (self.status_file, self.environment_file, self.splits_file):
                file.unlink(missing_ok=True)

    def events(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """Read the journal, all of it or some kinds. A last line that was cut off by a kill is left out."""
        if not self.journal_file.exists():
            return
        with self.journal_file.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if isinstance(event, dict) and (not kinds or event.get("kind") in kinds):
                    yield event

    def config(self) -> dict[str, Any]:
        """Return config.json: {"recipe": name, "data": path, "config": every setting}."""
        return read_json(self.config_file)

    def environment(self, **values: Any) -> None:
        """Add to environment.json."""
        if not self._writes:
            return
        known = read_json(self.environment_file) if self.environment_file.exists() else {}
        write_json(self.environment_file, {**known, **values})


def create(folder: Path, config: Mapping[str, Any]) -> Run:
    """Make a new run. Its folder must not exist, so that two runs of one name cannot mix; a failed start may."""
    run = Run(folder)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if not run.is_unbegun():
            raise _taken(folder) from None
        run._clear()
    except OSError as error:
        raise RunError(f"{folder} cannot be made: {error.strerror}. Choose another --run.") from error
    write_json(run.config_file, config)
    return run


def _taken(folder: Path) -> RunError:
    return RunError(
        f"{folder} exists already. Choose another --run, or continue it with `homeostat resume {folder}`."
    )


def named(root: Path, name: str) -> Path:
    """Return a free folder name of the form root/name-20261120-093012."""
    stem = root / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder, number = stem, 2
    while folder.exists():
        folder, number = Path(f"{stem}-{number}"), number + 1
    return folder


def open_run(folder: Path) -> Run:
    """Return an existing run."""
    run = Run(folder)
    if not run.config_file.exists():
        near = folder.parent if folder.parent.is_dir() else Path()
        found = [path.parent.name for path in sorted(near.glob("*/config.json"))]
        listed = f" Runs in {near}: {', '.join(found)}." if found else ""
        raise RunError(f"{folder} is not a run: it holds no {run.config_file.name}.{listed}")
    return run


def find_all(root: Path) -> list[Run]:
    """All runs directly under a folder, oldest first."""
    return [
        Run(path.parent) for path in sorted(root.glob("*/config.json"), key=lambda path: path.stat().st_mtime)
    ]


def now() -> str:
    """The time of day in UTC, for people; durations are measured by a clock that never jumps."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _as_json(row: dict[str, Any]) -> str:
    """One line of strict JSON. A number that is not finite becomes text: the journal must show it, JSON has no word."""
    try:
        return json.dumps(row, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_spelled(row), default=str)


def _spelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, folder) from error


def _locked(path: Path, name: str, mode: Literal["a", "r"] = "a") -> IO[str]:
    """Open and lock a file until it is closed or its process ends, however it ends."""
    try:
        stream = path.open(mode, encoding="utf-8")
    except OSError as error:
        raise unwritable(error, path) from error
    try:
        import fcntl
    except ImportError:  # Windows: two processes on one run are not noticed there
        return stream
    # Whoever only asks shares the lock, for microseconds; an owner-to-be therefore asks more than once.
    kind = fcntl.LOCK_EX if mode == "a" else fcntl.LOCK_SH
    for wait_s in (0.1, 0.1, 0.1, 0.0) if mode == "a" else (0.0,):
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
            return stream
        except BlockingIOError:
            time.sleep(wait_s)
    stream.close()
    raise InUse(
        f"Run {name} is being trained by another process. Follow it with `homeostat logs -f`, "
        "or end it with `homeostat stop`."
    )


def _verdict(error: BaseException) -> tuple[Phase, str]:
    if isinstance(error, Halted):
        return "halted", str(error)
    if isinstance(error, Interrupted | OutOfResources):
        return "interrupted", str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "interrupted by the keyboard"
    return "failed", f"{type(error).__name__}: {error}"
