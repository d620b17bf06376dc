"""Which of these runs is better? Reads their folders: test predictions, splits and configs, never a model."""

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
from homeostat.run import Run

USUAL: Mapping[str, str] = {"binary": "auroc", "multilabel": "macro auroc", "regression": "rmse"}


def by_method(folders: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Runs whose configs differ in nothing but a seed are trainings of one method, named after the first."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        found.setdefault(_method(folder), []).append(folder)
    return {group[0].name: tuple(group) for group in found.values()}


def contest(
    methods: Mapping[str, Sequence[Path]],
    *,
    score: str | None = None,
    split: Split = "test",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Comparison, ...]:
    """Every pair of methods, with Holm's correction over the pairs; each reading of test goes into the ledgers.

    Refuses when rows that one run is tested on were training or validation rows of another.
    """
    if len(methods) < 2:
        raise ConfigError(
            "A comparison needs two methods. Runs that differ only in their seed are one method."
        )
    trained = {folder: _own(folder, split) for group in methods.values() for folder in group}
    _refuse_memory(trained)
    if split == "test":
        for folder, p in trained.items():
            ledger.record(Run(folder).ledger_file, p, "compare")
    kind = next(iter(trained.values())).kind
    chosen = score or USUAL[kind]
    made = []
    for name_a, name_b in combinations(methods, 2):
        whole = [[trained[folder] for folder in methods[name]] for name in (name_a, name_b)]
        for a, b in by_target(*whole):
            made.append(replace(_pair(a, b, chosen, level, resamples, seed), a=name_a, b=name_b))
    return compare.adjusted(made)


def by_target(
    a: Sequence[Predictions], b: Sequence[Predictions]
) -> list[tuple[Sequence[Predictions], Sequence[Predictions]]]:
    """A regression's errors are in the unit of each target, so each is compared alone."""
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
    """The run's own predictions of a split: those in the file of that name."""
    return read(Run(folder).predictions / f"{split}.parquet")


def _refuse_memory(trained: Mapping[Path, Predictions]) -> None:
    learnt = {folder: pairing.seen(Run(folder).splits_file) for folder in trained}
    for folder, p in trained.items():
        for other, known in learnt.items():
            pairing.refuse_overlap(replace(p, model=folder.name), known, other.name)


def _method(folder: Path) -> str:
    try:
        config = json.loads(Run(folder).config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is not a run: its config.json cannot be read ({error}).") from error
    return json.dumps(_without_seed(config), sort_keys=True)


def _without_seed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seed(held) for key, held in value.items() if key != "seed"}
    return value
