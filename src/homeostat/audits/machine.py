"""Laws of a machine that is fit to train: its device, threads, load, disk, memory, clock and compiler."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from homeostat.audits.base import Finding, Severity
from homeostat.audits.exam import Exam


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine as plain values, read once, so that the laws are tried on them."""

    cores: int
    threads: int
    load: float
    cuda: bool
    cuda_build: bool
    nvidia: bool
    disk_free: float
    memory_free: float
    year: int
    clock_step_s: float
    compiler: str
    python: tuple[int, int]


def read(folder: Path) -> Machine:
    """Look at the machine; `folder` is where runs will be."""
    began_wall, began = time.time(), time.monotonic()
    time.sleep(0.05)
    drift = abs((time.time() - began_wall) - (time.monotonic() - began))
    near = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return Machine(
        # A container may use fewer cores than the machine has, and os.cpu_count() shows those of the machine.
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0] if os.name == "posix" else 0.0,
        cuda=torch.cuda.is_available(),
        cuda_build=torch.version.cuda is not None,
        nvidia=Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None,
        disk_free=float(shutil.disk_usage(near).free),
        memory_free=_memory_free(),
        year=time.gmtime().tm_year,
        clock_step_s=drift,
        compiler=next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), ""),
        python=(sys.version_info[0], sys.version_info[1]),
    )


def _memory_free() -> float:
    table = Path("/proc/meminfo")
    if not table.exists():
        return float("inf")
    lines = table.read_text(encoding="ascii").splitlines()
    return next(
        (float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), float("inf")
    )


def examine_machine(machine: Machine) -> Exam:
    """Try every law on a machine."""
    findings = tuple(finding for law in LAWS.values() if (finding := law(machine)) is not None)
    return Exam(findings=findings, tried=tuple(LAWS), not_tried={})


def describe(machine: Machine) -> str:
    """Return one line about a machine."""
    device = "a GPU" if machine.cuda else "no GPU"
    return (
        f"{machine.cores} cores, {machine.threads} threads, {device}, {machine.memory_free / 1e9:.1f} GB of memory and "
        f"{machine.disk_free / 1e9:.1f} GB of disk free, compiler {machine.compiler or 'none'}."
    )


def _device(m: Machine) -> Finding | None:
    if not m.nvidia or m.cuda:
        return None
    if m.cuda_build:
        return _finding(
            "device",
            "serious",
            "There is an NVIDIA GPU, and torch cannot use it.",
            cause="The driver is older than torch's CUDA, or the GPU is hidden (CUDA_VISIBLE_DEVICES).",
            advice="Update the driver, or show the GPU.",
            command="nvidia-smi",
        )
    return _finding(
        "device",
        "serious",
        "There is an NVIDIA GPU, but this torch was built for the CPU.",
        cause="The plain wheel of torch on this platform computes on the CPU only.",
        advice="Install the CUDA wheel.",
        command="pip install torch --index-url https://download.pytorch.org/whl/cu126",
    )


def _threads(m: Machine) -> Finding | None:
    if m.threads <= m.cores:
        return None
    return _finding(
        "threads",
        "serious",
        f"torch uses {m.threads} threads on {m.cores} cores.",
        cause="The container shows fewer cores than the machine has, or OMP_NUM_THREADS is set too high.",
        advice="Set as many threads as cores.",
        command=f"export OMP_NUM_THREADS={m.cores}",
        threads=m.threads,
        cores=m.cores,
    )


def _load(m: Machine) -> Finding | None:
    if m.load <= 1.5 * m.cores:
        return None
    return _finding(
        "load",
        "note",
        f"{m.load:.1f} programs want to compute on {m.cores} cores.",
        cause="Other programs are running; measured speeds will be wrong, and the guard of pace may speak.",
        advice="Wait, or use fewer threads.",
        command="top",
        load=m.load,
    )


def _disk(m: Machine) -> Finding | None:
    if m.disk_free >= 2e9:
        return None
    return _finding(
        "disk",
        "serious" if m.disk_free < 2e8 else "note",
        f"{m.disk_free / 1e9:.2f} GB are free where runs are kept.",
        cause="The disk is nearly full.",
        advice="Free some space, or keep runs elsewhere (--run).",
        command="df -h .",
        free_bytes=m.disk_free,
    )


def _memory(m: Machine) -> Finding | None:
    if m.memory_free >= 1e9:
        return None
    return _finding(
        "memory",
        "serious",
        f"{m.memory_free / 1e9:.2f} GB of memory are free; importing torch takes a quarter of one.",
        cause="Other programs hold it.",
        advice="End them, or use smaller batches.",
        command="free -h",
        free_bytes=m.memory_free,
    )


def _clock(m: Machine) -> Finding | None:
    # A machine without a battery for its clock starts in 1970; 0.02 s within 0.05 s is a clock that is being set.
    if m.year >= 2024 and m.clock_step_s < 0.02:
        return None
    return _finding(
        "clock",
        "note",
        f"The clock says {m.year} and moved {m.clock_step_s:.3f} s against the steady one within 0.05 s.",
        cause="It was never set, or something sets it now. Durations here do not use it; times of files do.",
        advice="Synchronise it.",
        command="timedatectl",
        year=m.year,
        step_s=m.clock_step_s,
    )


def _compiler(m: Machine) -> Finding | None:
    if m.compiler:
        return None
    return _finding(
        "compiler",
        "note",
        "There is no C++ compiler: solves take plain steps instead of the native ones, several times slower.",
        cause="It is not installed.",
        advice="Install one.",
        command="apt-get install g++",
    )


def _python(m: Machine) -> Finding | None:
    if m.python >= (3, 11):
        return None
    return _finding(
        "python",
        "fatal",
        f"This is Python {m.python[0]}.{m.python[1]}; 3.11 is needed.",
        cause="An old environment.",
        advice="Make a new one.",
        command="python3.11 -m venv .venv",
    )


LAWS: Mapping[str, Callable[[Machine], Finding | None]] = {
    "device": _device,
    "threads": _threads,
    "load": _load,
    "disk": _disk,
    "memory": _memory,
    "clock": _clock,
    "compiler": _compiler,
    "python": _python,
}


def _finding(
    audit: str, severity: Severity, what: str, *, cause: str, advice: str, command: str, **evidence: float
) -> Finding:
    return Finding(
        audit=audit,
        severity=severity,
        what=what,
        cause=cause,
        advice=advice,
        evidence=evidence,
        command=command,
    )
