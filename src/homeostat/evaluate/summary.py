"""Compute the contents of metrics.json from prediction files: every number with its n, interval, method and split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.errors import DataError
from homeostat.evaluate import (
    binary,
    calibration,
    compare,
    ledger,
    multilabel,
    recalibrate,
    regression,
    subgroups,
    threshold,
    trajectory,
)
from homeostat.evaluate.bootstrap import RESAMPLES
from homeostat.evaluate.predictions import BEST_FIRST, Kind, Predictions, read
from homeostat.evaluate.score import HEADLINE, Score, too_few
from homeostat.evaluate.threshold import GIVEN, Threshold
from homeostat.run import Run, sealed

FORMAT = 1
PER_SUBJECT = "rmse per subject"
CONTRASTS: Mapping[Kind, tuple[str, ...]] = {
    "binary": ("auroc", "auprc"),
    "multilabel": ("macro auroc", "macro auprc"),
    "regression": ("rmse",),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    resamples: int = RESAMPLES
    seed: int = 0
    level: float = 0.95
    headline: str | None = None
    """Name of the score; None takes the one of HEADLINE."""
    per_subject: bool = False
    """Judge and compare curves subject by subject: a long record must not outvote a short one."""
    model: str | None = None
    """The model that the run is about; the others are yard-sticks. None takes that of the first file."""


def summarise(
    files: Sequence[Path], *, ledger_file: Path | None = None, settings: Settings | None = None
) -> dict[str, Any]:
    """Return the contents of metrics.json; note each test file in the ledger before its numbers are computed."""
    chosen = settings or Settings()
    known = [p for p in map(read, files) if np.isfinite(p.targets).any()]
    if not known:
        raise DataError("No prediction file has a known truth, so there is nothing to score.")
    model = chosen.model or known[0].model
    if ledger_file is not None:
        for p in known:
            if p.split == "test":
                ledger.record(ledger_file, p, "evaluate" if p.model == model else ledger.YARD_STICK)
    own = _by_split([p for p in known if p.model == model])
    if not own:
        raise DataError(
            f"No file is from model {model!r}. Models: {', '.join(sorted({p.model for p in known}))}."
        )
    metrics = _metrics(own, [p for p in known if p.model != model], chosen)
    return metrics | {"ledger": _count(ledger_file, own.get("test"))}


def of_run(folder: Path, settings: Settings | None = None) -> dict[str, Any]:
    """Summarise a run folder: predictions/{split}.parquet are its own, {split}-{name}.parquet its yard-sticks'."""
    # A dash after the split begins the name of a yard-stick; out-of-fold has dashes of its own.
    files = sorted(
        sealed.files(Run(folder).predictions, "*.parquet"),
        key=lambda path: ("-" in path.stem.replace("out-of-fold", ""), path),
    )
    if not files:
        raise DataError(f"{folder} holds no predictions. Finish the run, or predict with it, first.")
    return summarise(files, ledger_file=Run(folder).ledger_file, settings=settings)


def _metrics(
    own: Mapping[str, Predictions], others: Sequence[Predictions], chosen: Settings
) -> dict[str, Any]:
    main = own[next(split for split in BEST_FIRST if split in own)]
    thresholds = fitted_thresholds(own)
    scores = [score for p in own.values() for score in scores_of(p, thresholds, chosen)]
    for p in others:
        # Each yard-stick at a threshold of its own: at the model's it would look worse than it is.
        fitted = fitted_thresholds(_by_split([q for q in others if q.model == p.model]))
        scores += scores_of(p, fitted, chosen)
    name = chosen.headline or (PER_SUBJECT if _is_per_subject(main, chosen) else HEADLINE[main.kind])
    headline = next(
        (s for s in scores if s.name == name and s.split == main.split and s.model == main.model), None
    )
    if headline is None:
        raise DataError(f"There is no score {name!r}. Scores: {', '.join(sorted({s.name for s in scores}))}.")
    # Holm over all yard-sticks and scores of the run at once: each is another chance of a false alarm.
    contrasts = compare.adjusted(
        [c for p in others if p.split == main.split for c in contrast(main, p, chosen)]
    )
    return {
        "format": FORMAT,
        "kind": main.kind,
        "model": main.model,
        "selected": main.selected,
        "unit": main.unit,
        "time_unit": main.time_unit,
        "settings": {"resamples": chosen.resamples, "seed": chosen.seed, "level": chosen.level},
        "splits": {split: _facts(p) for split, p in own.items()},
        "headline": headline.as_dict(),
        "scores": [score.as_dict() for score in scores],
        "subgroups": [score.as_dict() for score in _subgroups(main, chosen)],
        "comparisons": [c.as_dict() for c in contrasts],
        "thresholds": {target: cut.as_dict() for target, cut in thresholds.items()},
        "calibrators": _calibrators(own),
        "subjects": _subjects(main),
    }


def _by_split(files: Sequence[Predictions]) -> dict[str, Predictions]:
    by_split: dict[str, Predictions] = {}
    for p in files:
        if p.split in by_split:
            raise DataError(f"Two files hold {p.split} predictions of {p.model}. Name the models apart.")
        by_split[p.split] = p
    return by_split


def scores_of(p: Predictions, thresholds: Mapping[str, Threshold], chosen: Settings) -> tuple[Score, ...]:
    """Compute every score of one prediction file."""
    how: dict[str, Any] = {"resamples": chosen.resamples, "seed": chosen.seed, "level": chosen.level}
    if p.kind == "multilabel":
        return multilabel.scores(p, thresholds=thresholds, **how)
    if p.kind == "binary":
        cut = thresholds.get(p.names[0], GIVEN)
        return (*binary.scores(p, threshold=cut, **how), *calibration.scores(p, **how))
    plain = regression.scores(p, **how)
    if p.time is None:
        return plain
    alone = [p.one(name) for name in p.names]
    return (*plain, *(s for q in alone for s in (trajectory.at_end(q, **how), *trajectory.along(q, **how))))


def fitted_thresholds(own: Mapping[str, Predictions]) -> dict[str, Threshold]:
    """Choose Youden's threshold of every target with enough cases, on validation (or out-of-fold) predictions."""
    # Never test: a threshold that was chosen there flatters every score at it.
    source = own.get("valid", own.get("out-of-fold"))
    if source is None or source.kind == "regression":
        return {}
    return {name: threshold.youden(source.one(name)) for name in source.names if _enough(source.one(name))}


def contrast(main: Predictions, other: Predictions, chosen: Settings) -> tuple[compare.Comparison, ...]:
    """Compare the model with one yard-stick on the same rows."""
    how: dict[str, Any] = {"resamples": chosen.resamples, "seed": chosen.seed, "level": chosen.level}
    if main.kind == "binary" and not _enough(main.one(main.names[0])):
        return ()
    if main.kind == "multilabel" and not multilabel.estimable(main):
        return ()
    if _is_per_subject(main, chosen) and len(set(main.subjects)) < 2:
        return ()
    each_target = main.names if main.kind == "regression" else ()
    pairs = [(main.one(name), other.one(name)) for name in each_target] or [(main, other)]
    wanted = (PER_SUBJECT,) if _is_per_subject(main, chosen) else CONTRASTS[main.kind]
    names = [
        name for name in dict.fromkeys((chosen.headline or "", *wanted)) if compare.knows(main.kind, name)
    ]
    boot = tuple(compare.paired_bootstrap([a], [b], name, **how) for a, b in pairs for name in names)
    if main.kind != "binary":
        return boot
    return (compare.paired_delong(main, other, chosen.level), *(c for c in boot if c.score != "auroc"))


def _is_per_subject(p: Predictions, chosen: Settings) -> bool:
    return chosen.per_subject and p.time is not None


def _enough(p: Predictions) -> bool:
    positives = int(p.truth.sum())
    return not too_few(positives, len(p) - positives)


def _subgroups(main: Predictions, chosen: Settings) -> tuple[Score, ...]:
    how: dict[str, Any] = {"resamples": chosen.resamples, "seed": chosen.seed, "level": chosen.level}
    if not main.groups:
        return ()
    return tuple(score for name in main.names for score in subgroups.scores(main.one(name), **how))


def _calibrators(own: Mapping[str, Predictions]) -> dict[str, Any]:
    """Fit a temperature on validation predictions; the report says whether it would mend the miscalibration."""
    source = own.get("valid")
    if source is None or source.kind != "binary" or not _enough(source.one(source.names[0])):
        return {}
    fitted = recalibrate.temperature(source.one(source.names[0]))
    return {source.names[0]: recalibrate.as_dict(fitted)}


def _facts(p: Predictions) -> dict[str, Any]:
    facts: dict[str, Any] = {"rows": len(p), "subjects": len(np.unique(p.subjects)), "targets": {}}
    for name in p.names:
        alone = p.one(name)
        spread = {} if p.kind == "regression" else {"positives": int(alone.truth.sum())}
        facts["targets"][name] = {"known": len(alone)} | spread
    return facts


def _subjects(main: Predictions) -> list[dict[str, Any]]:
    """Return the table of subjects of a regression with several rows each."""
    if main.kind != "regression" or len(main.names) > 1 or len(np.unique(main.subjects)) == len(main):
        return []
    return [vars(row) | {} for row in regression.per_subject(main.one(main.names[0]))]


def _count(ledger_file: Path | None, test: Predictions | None) -> dict[str, Any]:
    if ledger_file is None or test is None:
        return {}
    rows, _ = ledger.fingerprints(test)
    own = [entry for entry in ledger.reads(ledger_file) if entry.model == test.model]
    near = ledger.looks(ledger_file.parent.parent, rows)
    return {
        "reads": len(own),
        "looks": len({entry.content for entry in own}),
        "looks_of_all_runs": len(near),
        "first": own[0].time if own else "",
        "last": own[-1].time if own else "",
    }
