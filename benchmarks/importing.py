"""How long does `import homeostat` take, beside the libraries that it stands on? Each in a fresh process.

python benchmarks/importing.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

TIMED = "import sys, time; began = time.perf_counter(); import {0}; print(time.perf_counter() - began)"
PEERS = ("homeostat", "numpy", "polars", "torch")


def seconds(module: str) -> float:
    """Seconds that one process needs to import a module."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(module)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = arguments.parse_args().rounds
    # In turn, so that a busy moment of the machine meets all of them.
    taken = [[seconds(module) for module in PEERS] for _ in range(rounds)]
    medians = dict(zip(PEERS, map(statistics.median, zip(*taken, strict=True)), strict=True))
    for module, median in medians.items():
        print(f"import {module:10} {median * 1000:8.1f} ms  {median / medians['homeostat']:8.1f} x homeostat")


if __name__ == "__main__":
    main()
