"""Describe versions, code and machine for environment.json: a number may depend on each of them."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import homeostat


def environment() -> dict[str, Any]:
    """Return versions, commit of the code, host and command line."""
    import numpy
    import torch

    return {
        "homeostat": homeostat.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "git": _git(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "command": sys.argv,
    }


def _git() -> str | None:
    """Return the commit of the code, with a + if it was changed since; None for an installed package."""
    try:
        where = Path(homeostat.__file__).parent
        answer = subprocess.run(
            # All 40 digits: short names of commits become ambiguous as a history grows.
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40"],
            cwd=where, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
