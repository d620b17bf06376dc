"""Train a run in the background: the start is over when the new process trains, or has said why it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from homeostat import console
from homeostat.errors import ConfigError, HomeostatError, command, with_exit_code
from homeostat.run import Run

POLL_S = 0.05
# The first event of a run that has its data and its plan: from then on it trains.
PLAN = "plan"


def detach(run: Run, budget: str | None, jobs: int = 0) -> None:
    """Start `resume` in a new session of the operating system, and return when it trains or has ended.

    Until then its output is shown here, so that an error of the data or of the settings is seen by who caused it.
    """
    if os.name != "posix":
        raise ConfigError(
            "--detach needs Linux or macOS. Leave it out, and start the run in a terminal of its own."
        )
    # `resume` and not a fork: it reads all it needs from the folder, as it would after a kill.
    words = [sys.executable, "-m", "homeostat", "resume", str(run.folder.absolute())]
    words += ["--jobs", str(jobs)] if jobs else []
    words += [] if budget is None else ["--stop-after", budget]
    plans = _plans(run)
    with run.console_file.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    console.say(f"Run {run.folder}: process {process.pid} starts in the background.")
    try:
        _wait(run, process, begin, plans)
    except KeyboardInterrupt:
        console.say("It goes on in the background: only its start is no longer shown here.")
    if process.returncode is None:
        process.returncode = (
            0  # it outlives us on purpose; without this, Popen warns that nobody waited for it
        )
        console.say(
            f"It trains, and goes on in the background when this terminal is closed.\nNext: {_ways(run)}"
        )
    else:
        console.say(f"It has ended already. Next: {command('status', run.folder)}")


def _ways(run: Run) -> str:
    return ", ".join(command(*words, run.folder) for words in (("logs", "-f"), ("status",), ("stop",)))


def _plans(run: Run) -> int:
    return sum(1 for _ in run.events(PLAN))


def _wait(run: Run, process: subprocess.Popen[bytes], begin: int, plans: int) -> None:
    """Show what the process prints until it trains or has ended; an error of it is raised here."""
    echo = Echo(run.console_file, begin)
    while process.poll() is None and _plans(run) == plans:
        echo.show()
        time.sleep(POLL_S)
    echo.show()
    if process.returncode:
        raise echo.failure(process.returncode)


class Echo:
    """Shows the lines that a process appends to a file, but keeps its error: that is raised, and printed once."""

    def __init__(self, path: Path, begin: int) -> None:
        self._path, self._place = path, begin
        self._error: list[str] = []

    def show(self) -> None:
        """Print the lines that are new and whole."""
        with self._path.open("rb") as file:
            file.seek(self._place)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._place += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if self._error or line.startswith("error: "):
                self._error.append(line)
            else:
                console.note(line)

    def failure(self, code: int) -> HomeostatError:
        """Return the error of the process, with the advice that followed it and the same exit code."""
        if not self._error:
            end = f"signal {-code}" if code < 0 else f"code {code}"
            return HomeostatError(f"The process ended with {end}. Its output is in {self._path}.")
        sentence, *advice = self._error
        error = with_exit_code(code, sentence.removeprefix("error: "))
        for line in advice:
            error.add_note(line)
        return error
