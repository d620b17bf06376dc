"""Memory, disk and time that the machine has left, as plain numbers for the guards that forecast."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import torch

# Every read below is a few microseconds; once per epoch they cost nothing.
_STATM, _MEMINFO = Path("/proc/self/statm"), Path("/proc/meminfo")


def measure(device: torch.device, folder: Path) -> dict[str, float]:
    """Measure this machine; a number that it does not give is left out."""
    numbers = {"disk_free_bytes": float(shutil.disk_usage(folder).free)}
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        numbers |= {
            "memory_bytes": float(torch.cuda.memory_allocated(device)),
            "memory_free_bytes": float(free),
        }
    elif _STATM.exists():
        # The second number of statm is the resident set, in pages (man 5 proc).
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        numbers |= {
            "memory_bytes": float(pages * os.sysconf("SC_PAGE_SIZE")),
            "memory_free_bytes": _available(),
        }
    # The clock of --stop-after (interrupt.py).
    if os.name == "posix" and (left := signal.getitimer(signal.ITIMER_REAL)[0]) > 0:
        numbers["seconds_left"] = left
    return numbers


def _available() -> float:
    """Return the memory that can be had without swapping, in the kernel's own estimate."""
    for line in _MEMINFO.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return 0.0
