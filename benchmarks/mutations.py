"""What becomes of damaged raw data: a sentence, a count, the same store, another store, or a defect of ours.

Every mutation damages one small sound data set at random (bytes, kinds of files, text, values, types, arrays, archives,
headers, names), and prepares it in a forked process with a limit of time and memory. The exit code is 1 if any ends in
a traceback, a signal, a hang, a wrong exit code, or more than 1 GB of memory above the sound data set.

    python benchmarks/mutations.py [--count 2000] [--seed 0] [--layout NAME] [--show traceback] [--only NUMBER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

# The layouts and the kinds of damage live beside the tests.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import homeostat.recipes.battery.recipe
import homeostat.recipes.cell.recipe
import homeostat.recipes.icu.recipe  # noqa: F401  # loaded once, before the forks
from mutants.kinds import KINDS
from mutants.layouts import LAYOUTS
from mutants.trial import BAD, GOOD, Verdict, healthy, tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layout", choices=[layout.name for layout in LAYOUTS])
    parser.add_argument("--limit", type=float, default=10.0, help="seconds of a processor for one mutation")
    parser.add_argument("--show", nargs="*", default=[], choices=[*GOOD, *BAD], help="print each of these")
    parser.add_argument("--only", type=int, help="this mutation alone, with all that it says")
    options = parser.parse_args()
    layouts = [layout for layout in LAYOUTS if options.layout in (None, layout.name)]
    numbers = range(options.count) if options.only is None else [options.only]
    shown = [*GOOD, *BAD] if options.only is not None else [*BAD, *options.show]
    start = time.monotonic()
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as name:
        folder = Path(name)
        needed = {layouts[number % len(layouts)].name for number in numbers}
        sound = {
            layout.name: healthy(layout, folder / layout.name, 120.0)
            for layout in layouts
            if layout.name in needed
        }
        for number in numbers:
            layout = layouts[number % len(layouts)]
            verdict = tried(layout, sound[layout.name], folder, number, options.seed, options.limit)
            verdicts.append(verdict)
            if verdict.outcome in shown:
                print(
                    f"{number} {verdict.outcome}: {verdict.layout}, {verdict.kind}, {verdict.detail}",
                    flush=True,
                )
                print("    " + verdict.sentence.strip().replace("\n", "\n    "), flush=True)
    table(verdicts, "layout", lambda verdict: verdict.layout)
    table(verdicts, "kind", lambda verdict: verdict.kind.partition(":")[0])
    silent(verdicts)
    defects = sum(verdict.outcome in BAD for verdict in verdicts)
    print(
        f"\n{len(verdicts):,} mutations of seed {options.seed}, {len(KINDS)} kinds, {len(layouts)} layouts, "
        f"{time.monotonic() - start:,.0f} s, slowest {max(verdict.seconds for verdict in verdicts):.1f} s, "
        f"most memory {max(verdict.peak_mb for verdict in verdicts):,.0f} MB: {defects} defects"
    )
    return int(defects > 0)


def table(verdicts: Sequence[Verdict], title: str, key: Callable[[Verdict], str]) -> None:
    """Outcomes by layout or by kind."""
    outcomes = [*GOOD, *BAD]
    print(f"\n| {title} | {' | '.join(outcomes)} |\n|---|{'---|' * len(outcomes)}")
    rows = sorted({key(verdict) for verdict in verdicts})
    for row in [*rows, "all"]:
        counts = Counter(each.outcome for each in verdicts if row in ("all", key(each)))
        print(f"| {row} | {' | '.join(str(counts[outcome]) for outcome in outcomes)} |")


def silent(verdicts: Sequence[Verdict]) -> None:
    """The classes of mutations that gave another store without a word."""
    classes: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        if verdict.outcome == "silent":
            classes.setdefault((verdict.kind, verdict.layout), []).append(verdict.detail)
    print("\nAnother store without a word:")
    for (kind, layout), details in sorted(classes.items()):
        print(f"  {len(details):4d}  {kind}, {layout}: {details[0]}")


if __name__ == "__main__":
    sys.exit(main())
