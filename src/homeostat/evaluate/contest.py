"""Compare runs by their folders: test predictions, splits and configs, never a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate import compare, ledger, pairing
from homeostat.evaluate.bootstrap import RESAMPLES
from homeostat.evaluate.compare import Comparison
from homeostat.evaluate.predictions import Predictions, Split, read
from homeostat.evaluate.score import HEADLINE
from homeostat.run import Run


def by_method(folders: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Group runs into methods: runs whose configs differ only in a seed are one method, named after the first."""
    groups: dict[str, list[Path]] = {}
    for folder in folders:
        groups.setdefault(_method(folder), []).append(folder)
    return {group[0].name: tuple(group) for group in groups.values()}


def contest(
    methods: Mapping[str, Sequence[Path]],
    *,
    score: str | None = None,
    split: Split = "test",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Comparison, ...]:
    """Compare every pair of methods, with Holm's correction over the pairs; note each reading of test in the ledgers.

    Rows that one run is tested on must not be training or validation rows of another.
    """
    if len(methods) < 2:
        raise ConfigError(
            "A comparison needs two methods. Runs that differ only in their seed are one method."
        )
    predictions = {folder: _own(folder, split) for group in methods.values() for folder in group}
    _refuse_memory(predictions)
    if split == "test":
        for folder, p in predictions.items():
            # Before a number is computed: a look that is not written down never happened for the next reader.
            ledger.record(Run(folder).ledger_file, p, "compare")
    kind = next(iter(predictions.values())).kind
    chosen = score or HEADLINE[kind]
    comparisons = []
    for name_a, name_b in combinations(methods, 2):
        whole = [[predictions[folder] for folder in methods[name]] for name in (name_a, name_b)]
        for a, b in by_target(*whole):
            comparisons.append(replace(_pair(a, b, chosen, level, resamples, seed), a=name_a, b=name_b))
    return compare.adjusted(comparisons)


def by_target(
    a: Sequence[Predictions], b: Sequence[Predictions]
) -> list[tuple[Sequence[Predictions], Sequence[Predictions]]]:
    """Part the targets of a regression, whose errors have the unit of their target; leave other kinds whole."""
    if a[0].kind != "regression":
        return [(a, b)]
    return [([p.one(name) for p in a], [p.one(name) for p in b]) for name in a[0].names]


def _pair(
    a: Sequence[Predictions], b: Sequence[Predictions], chosen: str, level: float, resamples: int, seed: int
) -> Comparison:
    if chosen == "auroc" and a[0].kind == "binary" and len(a) == len(b) == 1:
        pair = compare.paired_delong(a[0], b[0], level)
        return replace(pair, note="one training each: says which of these two is better, not which method")
    return compare.paired_bootstrap(a, b, chosen, resamples=resamples, seed=seed, level=level)


def _own(folder: Path, split: Split) -> Predictions:
    """Read the run's own predictions of a split: those in the file of that name."""
    return read(Run(folder).predictions / f"{split}.parquet")


def _refuse_memory(predictions: Mapping[Path, Predictions]) -> None:
    seen = {folder: pairing.seen(Run(folder).splits_file) for folder in predictions}
    for folder, p in predictions.items():
        for other, ids in seen.items():
            pairing.refuse_overlap(replace(p, model=folder.name), ids, other.name)


def _method(folder: Path) -> str:
    try:
        config = json.loads(Run(folder).config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is not a run: its config.json cannot be read ({error}).") from error
    if not config.get("recipe") and not config.get("config"):
        return str(
            folder.absolute()
        )  # made from Python, without settings: nothing says that two are one method
    return json.dumps(_without_seed(config), sort_keys=True)


def _without_seed(value: Any) -> Any:
    if isinstance(value, dict):
        # Runs that differ in luck alone are trainings of one method; another setting is another method.
        return {key: _without_seed(inner) for key, inner in value.items() if key != "seed"}
    return value
