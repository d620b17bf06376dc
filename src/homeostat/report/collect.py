"""Read everything that a report needs from a run folder, once, into one value; what is missing is empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.errors import HomeostatError, RunError
from homeostat.evaluate import ledger
from homeostat.evaluate.predictions import BEST_FIRST, Predictions, read
from homeostat.evaluate.score import Score
from homeostat.report import slices
from homeostat.report.slices import Slices
from homeostat.run import Run, manifest, sealed

GRAVITY = {"fatal": 0, "serious": 1, "note": 2}


@dataclass(frozen=True, kw_only=True)
class Collected:
    """One run, as a report sees it."""

    name: str
    folder: str
    """Absolute, so that a command in the report holds from any folder."""
    recipe: str
    data: str
    """Path of the raw data."""
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    status: Mapping[str, Any]
    splits: Mapping[str, tuple[str, ...]]
    split_by: str
    events: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, Any]
    predictions: tuple[Predictions, ...]
    findings: tuple[Mapping[str, Any], ...]
    """The findings of the doctor (findings.json), the gravest first."""
    tried: tuple[str, ...]
    """Names of the audits that the doctor tried."""
    curves: tuple[Predictions, ...]
    """Series of some subjects (predictions/curves/*.parquet): truth where something was observed, output everywhere."""
    volumes: tuple[Slices, ...]
    """Slices of some volumes (predictions/slices.json)."""
    reads: tuple[ledger.Read, ...]
    children: tuple[Collected, ...]
    broken: tuple[str, ...]
    """Files that are there but cannot be read, with the reason."""

    def of(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        """Return the events of one kind, in order."""
        return tuple(event for event in self.events if event.get("kind") == kind)

    def family(self, name: str = "") -> Iterator[tuple[str, Collected]]:
        """Yield the run, then every run inside it, each with its name from here."""
        yield name, self
        for child in self.children:
            yield from child.family(f"{name}/{child.name}" if name else child.name)

    @property
    def headline(self) -> Score | None:
        values = self.metrics.get("headline")
        return Score.from_dict(values) if values else None

    @property
    def scores(self) -> tuple[Score, ...]:
        return tuple(Score.from_dict(values) for values in self.metrics.get("scores", ()))

    def own(self, name: str, target: str | None = None) -> Score | None:
        """Return the model's own score of that name on the headline's split."""
        headline = self.headline
        mine = (s for s in self.scores if headline and s.split == headline.split and s.model == self.model)
        return next((s for s in mine if s.name == name and target in (None, s.target)), None)

    @property
    def model(self) -> str:
        return str(self.metrics.get("model") or next((p.model for p in self.predictions), ""))

    @property
    def main(self) -> Predictions | None:
        """Return the model's own predictions of the split that the headline is from."""
        own = [p for p in self.predictions if p.model == self.model]
        return min(own, key=lambda p: BEST_FIRST.index(p.split), default=None)

    def place(self, identity: str) -> tuple[Predictions, int] | None:
        """Return the yes/no predictions that the headline is from, and the row in them that has this id."""
        main = self.main
        rows = [] if main is None else np.flatnonzero(main.ids == identity).tolist()
        return (main, rows[0]) if main is not None and main.kind == "binary" and len(rows) == 1 else None

    @property
    def models(self) -> tuple[str, ...]:
        """Return the run's own model, then its yard-sticks, the best by the headline score first."""
        headline = self.headline
        if headline is None:
            return (self.model,)
        key = (headline.name, headline.split, headline.target)
        same = [s for s in self.scores if (s.name, s.split, s.target) == key]
        sign = 1 if headline.better == "lower" else -1
        others = sorted((s for s in same if s.model != self.model), key=lambda s: sign * (s.value or 0.0))
        return (self.model, *(s.model for s in others))

    @property
    def rivals(self) -> tuple[Predictions, ...]:
        """Return the yard-sticks' predictions of the same split, the best first."""
        main, models = self.main, self.models
        rivals = [p for p in self.predictions if main and p.split == main.split and p.model != main.model]
        rank = {model: place for place, model in enumerate(models)}
        return tuple(sorted(rivals, key=lambda p: rank.get(p.model, len(models))))


def collect(folder: Path) -> Collected:
    """Read a run and its children. A damaged part is reported, not fatal: a report is most needed then."""
    run = Run(folder)
    if not folder.is_dir() or not (
        run.config_file.exists() or run.status_file.exists() or run.metrics_file.exists()
    ):
        raise RunError(
            f"{folder} is not a run: it holds neither config.json nor status.json nor metrics.json."
        )
    broken: list[str] = []
    try:
        manifest.load(folder)
    except RunError as error:
        broken.append(str(error))
    config = _json(run.config_file, broken)
    splits = _json(run.splits_file, broken)
    doctor = _json(run.findings_file, broken)
    return Collected(
        name=run.name,
        folder=str(folder.absolute()),
        recipe=str(config.get("recipe", "")),
        data=str(config.get("data", "")),
        config=config.get("config", {}) if isinstance(config.get("config"), dict) else {},
        environment=_json(run.environment_file, broken),
        status=run.status(),
        splits={
            part: tuple(map(str, splits[part])) for part in ("train", "valid", "test") if splits.get(part)
        },
        split_by=str(splits.get("by", "")),
        events=tuple(run.events()),
        metrics=_json(run.metrics_file, broken),
        predictions=_predictions(run.predictions, broken),
        findings=tuple(
            sorted(doctor.get("findings", ()), key=lambda f: GRAVITY.get(str(f.get("severity")), 2))
        ),
        tried=tuple(map(str, doctor.get("tried", ()))),
        curves=_predictions(run.predictions / "curves", broken),
        volumes=_volumes(run.predictions / slices.NAME, broken),
        reads=_reads(run.ledger_file, broken),
        children=tuple(collect(child.folder) for child in run.children() if _is_run(child)),
        broken=tuple(broken),
    )


def _is_run(run: Run) -> bool:
    return any(path.exists() for path in (run.config_file, run.status_file, run.metrics_file))


def _json(path: Path, broken: list[str]) -> dict[str, Any]:
    try:
        return sealed.read_json(path) if sealed.has(path) else {}
    except RunError as error:
        broken.append(str(error))
        return {}


def _predictions(folder: Path, broken: list[str]) -> tuple[Predictions, ...]:
    readable: list[Predictions] = []
    try:
        paths = sealed.files(folder, "*.parquet")
    except RunError as error:
        broken.append(str(error))
        return ()
    # The run's own file has the shortest name: those of its yard-sticks add "-NAME".
    for path in sorted(paths, key=lambda path: (len(path.stem), path.stem)):
        try:
            predictions = read(path)
        except HomeostatError as error:
            broken.append(str(error))
            continue
        # Predictions of new cases have no truth to draw.
        if predictions.split in BEST_FIRST:
            readable.append(predictions)
    return tuple(readable)


def _reads(path: Path, broken: list[str]) -> tuple[ledger.Read, ...]:
    try:
        return ledger.reads(path)
    except HomeostatError as error:
        broken.append(str(error))
        return ()


def _volumes(path: Path, broken: list[str]) -> tuple[Slices, ...]:
    try:
        return slices.read(path)
    except HomeostatError as error:
        broken.append(str(error))
        return ()
