"""Compare runs by their folders: test predictions, splits and configs, never a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from homeostat.errors import ConfigError, DataError, RunError, command
from homeostat.evaluate import compare, ledger, pairing
from homeostat.evaluate.bootstrap import RESAMPLES
from homeostat.evaluate.compare import Comparison
from homeostat.evaluate.predictions import BEST_FIRST, Predictions, Split, read
from homeostat.evaluate.score import HEADLINE
from homeostat.run import Run, sealed

NOTES: Mapping[Split, str] = {
    "valid": "valid is optimistic: each run chose its epoch by these rows, so both values are too good",
}


def by_method(folders: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Group runs into methods: runs whose configs differ only in a seed are one method, named after the first."""
    groups: dict[str, list[Path]] = {}
    for folder in folders:
        groups.setdefault(_method(folder), []).append(folder)
    firsts = [group[0] for group in groups.values()]
    named = [folder.name for folder in firsts]
    names = [folder.name if named.count(folder.name) == 1 else str(folder) for folder in firsts]
    return {name: tuple(group) for name, group in zip(names, groups.values(), strict=True)}


def contest(
    methods: Mapping[str, Sequence[Path]],
    *,
    score: str | None = None,
    split: Split | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Comparison, ...]:
    """Compare every pair of methods, with Holm's correction over the pairs; note each reading of test in the ledgers.

    Without a split, the best one that all have is taken. Rows that one run is judged by must not be rows that another
    learnt from; on valid, both have chosen their epoch, which is noted.
    """
    if len(methods) < 2:
        raise ConfigError(
            "A comparison needs two methods. Runs that differ only in their seed are one method."
        )
    folders = [folder for group in methods.values() for folder in group]
    split = common_split(folders) if split is None else split
    predictions = {folder: _own(folder, split) for folder in folders}
    _refuse_memory(predictions, split)
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
            pair = _pair(a, b, chosen, level, resamples, seed)
            notes = [note for note in (pair.note, NOTES.get(split, "")) if note]
            comparisons.append(replace(pair, a=name_a, b=name_b, note="; ".join(notes)))
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


def common_split(folders: Sequence[Path]) -> Split:
    """Return the best split that every run has predicted."""
    for folder in folders:
        if not _splits(folder):
            raise without_predictions(Run(folder))
    common = [split for split in BEST_FIRST if all(split in _splits(folder) for folder in folders)]
    if not common:
        listed = "; ".join(f"{folder}: {', '.join(_splits(folder))}" for folder in folders)
        raise DataError(f"These runs have no split in common ({listed}). Train them by the same protocol.")
    return common[0]


def _splits(folder: Path) -> list[Split]:
    return [split for split in BEST_FIRST if sealed.has(Run(folder).predictions / f"{split}.parquet")]


def without_predictions(run: Run) -> RunError:
    """Say why a run has nothing that could be judged, and what would change that."""
    state = run.status()["state"]
    if not run.config().get("recipe"):
        cure = (
            f"Write them into {run.predictions} with homeostat.write_predictions: docs/python.md shows how."
        )
    elif state == "done":
        cure = "They were removed. Restore them, or train again."
    else:
        cure = f"Finish it with `{command('resume', run.folder)}`."
    return RunError(f"{run.folder} has no predictions: its state is {state}. {cure}")


def _own(folder: Path, split: Split) -> Predictions:
    """Read the run's own predictions of a split: those in the file of that name."""
    known = _splits(folder)
    if not known:
        raise without_predictions(Run(folder))
    if split not in known:
        raise DataError(
            f"{folder} has no {split} predictions. It has: {', '.join(known)}. Compare one that all runs have: "
            f"--split {known[0]}."
        )
    return read(Run(folder).predictions / f"{split}.parquet")


def _refuse_memory(predictions: Mapping[Path, Predictions], split: Split) -> None:
    """Refuse rows that another run learnt from; on valid, those that it trained on."""
    parts = ("train",) if split == "valid" else ("train", "valid")
    learnt_from = "training" if split == "valid" else "training or validation"
    # Of a cross-validation, every row is predicted by a training that has not seen it: its splits are its children's.
    single = [folder for folder in predictions if not _is_crossed(Run(folder))]
    seen = {folder: pairing.seen(Run(folder).splits_file, parts) for folder in single}
    for folder, p in predictions.items():
        for other, ids in seen.items():
            pairing.refuse_overlap(replace(p, model=folder.name), ids, other.name, learnt_from)


def _is_crossed(run: Run) -> bool:
    return not sealed.has(run.splits_file) and any(sealed.has(child.splits_file) for child in run.children())


def _method(folder: Path) -> str:
    try:
        config = sealed.read_json(Run(folder).config_file)
    except RunError as error:
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
