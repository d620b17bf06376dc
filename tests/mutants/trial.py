"""Prepare one damaged data set in a process of its own, and say what came of it.

The parent process has loaded everything and has computed nothing: a fork keeps no threads, and polars starts its
own at the first table. So data sets are written, damaged and read in children alone.
"""

from __future__ import annotations

import json
import math
import os
import resource
import select
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.data.seal import check_seal
from homeostat.errors import HomeostatError
from homeostat.recipes import find
from mutants.kinds import KINDS
from mutants.layouts import LAYOUTS, Layout

GOOD = ("sentence", "counted", "equal", "silent")
BAD = ("traceback", "signal", "hang", "memory", "wrong code")
MORE_MB = 1024
"""Memory above that of the sound data set."""
# Beyond it a child is stopped by the system, so that a bomb harms nobody.
LIMIT_BYTES = 6 << 30
# A child that computes is stopped after so many seconds of a processor, and one that waits after so many of the clock:
# on a machine with other work the two differ.
PATIENCE = 6


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one mutation."""

    layout: str
    kind: str
    outcome: str
    detail: str = ""
    """What was changed, as the mutation says it."""
    sentence: str = ""
    """The error, or the counts that are new."""
    seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Sound:
    """What a layout gives when nothing is damaged."""

    arrays: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    peak_mb: float = 0.0


def healthy(layout: Layout, folder: Path, limit_s: float) -> Sound:
    """Write the sound data set, and prepare it."""
    raw = folder / "raw"
    raw.mkdir(parents=True)

    def work() -> dict[str, Any]:
        layout.write(raw)
        return {"store": prepared(layout, raw, folder / "stores")}

    answer = in_child(work, limit_s)
    if "store" not in answer:
        raise RuntimeError(f"{layout.name} cannot be prepared when it is sound: {answer}")
    return Sound(answer["store"]["arrays"], answer["store"]["counts"], answer["peak_mb"])


def tried(layout: Layout, sound: Sound, folder: Path, number: int, seed: int, limit_s: float) -> Verdict:
    """Mutation `number` of a seed, of this layout."""
    place = folder / f"trial-{number}"

    def work() -> dict[str, Any]:
        random = np.random.default_rng([seed, number])
        shutil.copytree(folder / layout.name / "raw", place / "raw", symlinks=True)
        kind, detail = mutate(place / "raw", random)
        send({"kind": kind, "detail": detail})
        try:
            return {"store": prepared(layout, place / "raw", place / "stores")}
        except HomeostatError as error:
            return {"error": str(error), "code": error.exit_code}
        except BaseException:  # noqa: BLE001  # the traceback is the result
            return {"traceback": traceback.format_exc()}

    try:
        return judged(layout, sound, in_child(work, limit_s))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def mutate(raw: Path, random: np.random.Generator) -> tuple[str, str]:
    """Draw a kind that can be done to this data set, and do it."""
    while True:
        kind = KINDS[int(random.integers(len(KINDS)))]
        detail = kind.change(raw, random)
        if detail:
            return kind.name, detail


def prepared(layout: Layout, raw: Path, stores: Path) -> dict[str, Any]:
    """The digests of the arrays of the store, its meta values, and its counts."""
    store = find(layout.recipe).prepare(layout.config(), raw, stores)
    digests = {name: digest for name, (_, digest) in check_seal(store.path).items() if name.endswith(".npy")}
    return {
        "arrays": {**digests, "meta": json.dumps(dict(store.meta), sort_keys=True)},
        "counts": dict(store.counts),
    }


def judged(layout: Layout, sound: Sound, answer: Mapping[str, Any]) -> Verdict:
    """The outcome of a child's answer."""
    outcome, sentence = "silent", ""
    if "signal" in answer:
        outcome, sentence = ("hang" if answer["is_late"] else "signal"), f"signal {answer['signal']}"
    elif "traceback" in answer:
        outcome, sentence = "traceback", answer["traceback"]
    elif answer["peak_mb"] > sound.peak_mb + MORE_MB or "MemoryError" in answer.get("error", ""):
        outcome, sentence = "memory", f"{answer['peak_mb']:,.0f} MB. {answer.get('error', '')}"
    elif "error" in answer:
        outcome, sentence = ("sentence" if answer["code"] == 3 else "wrong code"), answer["error"]
    elif answer["store"]["arrays"] == sound.arrays:
        outcome = "equal"
    elif new := {what: n for what, n in answer["store"]["counts"].items() if n != sound.counts.get(what, 0)}:
        outcome, sentence = "counted", "; ".join(f"{n:,} {what}" for what, n in new.items())
    return Verdict(
        layout=layout.name,
        kind=answer.get("kind", "none"),
        detail=answer.get("detail", ""),
        outcome=outcome,
        sentence=sentence,
        seconds=answer["seconds"],
        peak_mb=answer["peak_mb"],
    )


_writer = -1


def send(values: Mapping[str, Any]) -> None:
    """Write a line to the parent: what is known before a child hangs or dies."""
    os.write(_writer, json.dumps(values).encode() + b"\n")


def in_child(work: Callable[[], dict[str, Any]], limit_s: float) -> dict[str, Any]:
    """The answer of a forked process, with its time, its memory and the signal that ended it."""
    global _writer
    reader, _writer = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            with open(os.devnull, "w") as nowhere:  # a sentence that a library prints is no verdict
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_AS, (_virtual() + LIMIT_BYTES,) * 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            used = math.ceil(time.process_time() + limit_s)
            resource.setrlimit(resource.RLIMIT_CPU, (used, used + 1))
            send(work())
            status = 0
        except BaseException:  # noqa: BLE001  # a fault of the mutation itself
            send({"traceback": "in the bench: " + traceback.format_exc()})
        finally:
            os._exit(status)
    os.close(_writer)
    content, is_late = _heard(reader, child, start + PATIENCE * limit_s)
    _, status, usage = os.wait4(child, 0)
    answer: dict[str, Any] = {"seconds": time.monotonic() - start, "peak_mb": usage.ru_maxrss / 1024}
    for line in content.splitlines():
        answer |= json.loads(line)
    if os.WIFSIGNALED(status):
        is_late |= os.WTERMSIG(status) == signal.SIGXCPU
        answer |= {"signal": os.WTERMSIG(status), "is_late": is_late}
    return answer


def _heard(reader: int, child: int, deadline: float) -> tuple[bytes, bool]:
    content, is_late = b"", False
    while True:
        ready, _, _ = select.select([reader], [], [], max(deadline - time.monotonic(), 0))
        if not ready and not is_late:
            is_late, deadline = True, time.monotonic() + 60
            os.kill(child, signal.SIGKILL)
            continue
        block = os.read(reader, 1 << 16)
        if not block:
            os.close(reader)
            return content, is_late
        content += block


def _virtual() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


__all__ = ["BAD", "GOOD", "LAYOUTS", "Sound", "Verdict", "healthy", "tried"]
