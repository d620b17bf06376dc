"""Measure the CPU time from raw intensive-care files to a sealed store, beside row-by-row parsers.

Peers: the loop that reads a file with `csv`, builds a grid per minute and pickles the list (how such systems are
usually written), and the same with one polars table per file. Both do less: no fingerprint, no checks, no counts, no
checksums. They run on a share of the files and are scaled up; CPU seconds of the whole process count, all threads.

    python benchmarks/prepare.py [--data ../shared/data/physionet2012] [--share 0.1]
"""

from __future__ import annotations

import argparse
import csv
import os
import pickle
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.store import verify
from homeostat.recipes.icu.prepare import Preparation, blueprint
from homeostat.recipes.icu.variables import SERIES

PLACE = {name: place for place, name in enumerate(SERIES)}


def cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def measure(work: Callable[[], object]) -> float:
    start = cpu_s()
    work()
    return cpu_s() - start


def row_by_row(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    by_minute: dict[int, dict[str, float]] = {}
    with path.open() as stream:
        for row in csv.DictReader(stream):
            hours, minutes = row["Time"].split(":")
            if row["Parameter"] in PLACE and float(row["Value"]) != -1:
                by_minute.setdefault(int(hours) * 60 + int(minutes), {})[row["Parameter"]] = float(
                    row["Value"]
                )
    return grid(by_minute)


def table_per_file(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame = pl.read_csv(path).filter(pl.col("Parameter").is_in(list(PLACE)) & (pl.col("Value") != -1))
    by_minute: dict[int, dict[str, float]] = {}
    for time, name, value in frame.rows():
        hours, minutes = time.split(":")
        by_minute.setdefault(int(hours) * 60 + int(minutes), {})[name] = value
    return grid(by_minute)


def grid(by_minute: dict[int, dict[str, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, values and mask, one row per minute."""
    value = np.zeros((len(by_minute), len(PLACE)), dtype=np.float32)
    mask = np.zeros_like(value)
    for step, minute in enumerate(sorted(by_minute)):
        for name, number in by_minute[minute].items():
            value[step, PLACE[name]], mask[step, PLACE[name]] = number, 1
    return np.array(sorted(by_minute), dtype=np.float32) / 60, value, mask


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("HOMEOSTAT_DATA", "../shared/data")) / "physionet2012",
        help="folder with set-*/NNNNNN.txt and Outcomes-*.txt",
    )
    words.add_argument("--share", type=float, default=0.1, help="share of the files that the peers read")
    options = words.parse_args()
    paths = sorted(options.data.glob("set-*/*.txt"))
    some = paths[:: round(1 / options.share)]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {len(paths):,} files")
    with tempfile.TemporaryDirectory() as folder:
        stores = Path(folder)

        def peer(read: Callable[[Path], object]) -> float:
            def work() -> None:
                (stores / "peer.pkl").write_bytes(pickle.dumps([read(path) for path in some]))

            return measure(work) * len(paths) / len(some)

        plan = blueprint(options.data, Preparation())
        ours = measure(lambda: plan.build(stores))
        again = measure(lambda: plan.build(stores))
        store = plan.build(stores)
        whole = measure(lambda: verify(store.path))
        figures = {
            "raw files to sealed store": ours,
            "the same again: fingerprint, checksums, open": again,
            "every checksum of the store": whole,
            "peer: csv, row by row": peer(row_by_row),
            "peer: a polars table per file": peer(table_per_file),
        }
    for what, seconds in figures.items():
        print(f"{what:<46} {seconds:8.2f} s of CPU   {seconds / ours:6.1f} x")


if __name__ == "__main__":
    main()
