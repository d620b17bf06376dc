"""List the commands of the command line, one line each with the file that runs it, and run one.

Nothing heavy is imported here, so that `homeostat --help` answers at once.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

import homeostat
from homeostat import console
from homeostat.errors import (
    ConfigError,
    HomeostatError,
    OutOfResources,
    did_you_mean,
    exhausted,
    exit_code_of,
)

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
    "verify": ("verify", "RUN [--seal]", "read everything in a run, and say what holds"),
    "verify-resume": (
        "verify_resume",
        "RECIPE [--kills 20]",
        "kill and resume a run, and compare every bit of its end",
    ),
    "doctor": (
        "doctor",
        "[RECIPE | RUN]",
        "look for what is wrong: before training, after it, or with this machine",
    ),
    "data": (
        "data",
        "look FILE | prepare|explain|verify|simulate RECIPE",
        "look at, prepare, explain, check or simulate data",
    ),
}


# Commands whose work outlasts the interest of whoever reads their output.
TRAINING = ("train", "resume", "demo", "verify-resume")
# Measured: at 0.6 GB of address space OpenBLAS aborts while it is loaded, at 1.1 GB polars while it reads a table.
LEAST_ADDRESSES = 1_400_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    console.open_streams()
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
        check_process()
        with contextlib.ExitStack() as stack:
            if words[0] in TRAINING:
                stack.enter_context(console.outliving_readers())
            if words[0] in ("train", "verify-resume") and (len(words) == 1 or words[1] in ("-h", "--help")):
                from homeostat.cli import flags  # the list of recipes needs none of their libraries

                flags.recipe_first(words[0], words[1:])
            _announce(words)
            # Only the command that was asked for: the libraries take seconds to import.
            module = importlib.import_module(f"homeostat.cli.{COMMANDS[words[0]][0]}")
            stack.enter_context(console.listening())
            module.run(words[0], words[1:])
    except (HomeostatError, KeyboardInterrupt) as error:
        return _failed(error)
    except BrokenPipeError:  # `homeostat logs RUN | head`
        sys.stderr.close()
        return 0
    except (MemoryError, RuntimeError, OSError) as error:
        reason = exhausted(error)
        if reason is None:
            raise
        for advice in getattr(error, "__notes__", ()):
            reason.add_note(advice)
        return _failed(reason)
    return 0


def check_process() -> None:
    """Say in a sentence what would end as a crash inside of a library."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise ConfigError(
            "The folder that you are in was deleted. Change to another one (cd), then go on."
        ) from None
    limit = _address_limit()
    if limit is not None and limit < LEAST_ADDRESSES:
        raise OutOfResources(
            f"This process may use {limit / 1e9:.1f} GB of addresses (ulimit -v); the libraries take "
            f"{LEAST_ADDRESSES / 1e9:.1f} GB. Raise the limit."
        )


def _address_limit() -> int | None:
    """Bytes of address space; None where there is no limit, or no such notion (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _failed(error: BaseException) -> int:
    console.fail(str(error) or "interrupted by the keyboard")
    for advice in getattr(error, "__notes__", ()):
        console.say(advice)
    return exit_code_of(error)


# Commands that load torch, which takes seconds on a slow disk.
HEAVY = ("demo", "train", "resume", "predict", "export", "verify-resume", "doctor")


def _announce(words: Sequence[str]) -> None:
    """Say that libraries are being loaded, before they are: nobody likes a silent start. Workers have said so."""
    is_asked = words[0] in HEAVY and "torch" not in sys.modules
    if is_asked and not {"-h", "--help", "--child", "--json"} & set(words):
        console.note("Loading torch and the rest of the libraries ...")


def _help() -> None:
    console.say("homeostat trains biomedical models whose numbers can be believed.\n")
    rows = [(f"homeostat {name} {takes}", does) for name, (_, takes, does) in COMMANDS.items()]
    console.table(("command", "what it does"), rows)
    console.say(
        "\nEach command explains its flags: homeostat train --help. Exit codes: 0 done, 2 bad usage or config, "
        "3 bad data,\n4 halted by a guard, 5 interrupted and resumable, 6 out of resources and resumable."
    )
