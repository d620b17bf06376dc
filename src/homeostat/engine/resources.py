"""What does the machine still have? Memory, disk and time, as plain numbers for the guards that forecast."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import torch

# Every read below is a few microseconds; once per epoch they cost nothing.
_STATM, _MEMINFO = Path("/proc/self/statm"), Path("/proc/meminfo")


def measure(device: torch.device, folder: Path) -> dict[str, float]:
    """What there is to measure on this machine; a number that it does not tell is left out."""
    found = {"disk_free_bytes": float(shutil.disk_usage(folder).free)}
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        found |= {
            "memory_bytes": float(torch.cuda.memory_allocated(device)),
            "memory_free_bytes": float(free),
        }
    elif _STATM.exists():
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        found |= {
            "memory_bytes": float(pages * os.sysconf("SC_PAGE_SIZE")),
            "memory_free_bytes": _available(),
        }
    if os.name == "posix" and (left := signal.getitimer(signal.ITIMER_REAL)[0]) > 0:
        found["seconds_left"] = left
    return found


def _available() -> float:
    """What can be had without swapping, in the kernel's own estimate."""
    for line in _MEMINFO.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return 0.0
