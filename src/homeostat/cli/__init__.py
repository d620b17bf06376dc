"""List the commands of the command line, one line each with the file that runs it, and run one.

Nothing heavy is imported here, so that `homeostat --help` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import homeostat
from homeostat import console
from homeostat.errors import ConfigError, HomeostatError, did_you_mean, exit_code_of

# command -> (module, its arguments, its purpose)
COMMANDS = {
    "demo": ("demo", "[RECIPE]", "train on a simulated cohort, evaluate, write the report: two minutes"),
    "train": ("train", "RECIPE --data PATH [flags]", "train a recipe; every setting is a flag"),
    "resume": ("train", "RUN [--epochs N]", "continue a run from its newest intact checkpoint, or extend it"),
    "stop": ("follow", "RUN", "ask a live run to save and stop"),
    "runs": ("follow", "[--root FOLDER]", "list runs with their state, progress and score"),
    "status": ("follow", "RUN", "say where a run stands"),
    "logs": ("follow", "RUN [-f]", "print the journal in words; -f follows it"),
    "evaluate": ("judge", "RUN", "score the prediction files: metrics.json"),
    "predict": ("judge", "RUN --data PATH --out FILE", "predict new data with the best model"),
    "compare": ("judge", "RUN RUN ...", "put runs side by side, paired on the same rows"),
    "report": ("judge", "RUN", "write report.html"),
    "export": ("judge", "RUN", "write the best weights as safetensors, with their config"),
    "verify-resume": (
        "verify",
        "RECIPE [--kills 20]",
        "kill and resume a run, and compare every bit of its end",
    ),
    "doctor": (
        "doctor",
        "[RECIPE | RUN]",
        "look for what is wrong: before training, after it, or with this machine",
    ),
    "data": ("data", "prepare|explain|verify|simulate RECIPE", "prepare, explain, check or simulate data"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        _help()
        return 0
    if words[0] == "--version":
        console.say(f"homeostat {homeostat.__version__}")
        return 0
    try:
        if words[0] not in COMMANDS:
            raise ConfigError(f"There is no command {words[0]!r}.{did_you_mean(words[0], COMMANDS)}")
        # Only the command that was asked for: torch alone takes seconds to import.
        module = importlib.import_module(f"homeostat.cli.{COMMANDS[words[0]][0]}")
        with console.listening():
            module.run(words[0], words[1:])
    except (HomeostatError, KeyboardInterrupt) as error:
        console.fail(str(error) or "interrupted by the keyboard")
        for advice in getattr(error, "__notes__", ()):
            console.say(advice)
        return exit_code_of(error)
    except BrokenPipeError:  # `homeostat logs RUN | head`
        sys.stderr.close()
        return 0
    return 0


def _help() -> None:
    console.say("homeostat trains biomedical models whose numbers can be believed.\n")
    rows = [(f"homeostat {name} {takes}", does) for name, (_, takes, does) in COMMANDS.items()]
    console.table(("command", "what it does"), rows)
    console.say(
        "\nEach command explains its flags: homeostat train --help. Exit codes: 0 done, 2 bad usage or config, "
        "3 bad data,\n4 halted by a guard, 5 interrupted and resumable, 6 out of resources and resumable."
    )
