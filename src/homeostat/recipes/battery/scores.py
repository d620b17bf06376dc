"""What does a battery run report? Its scores, and its model against each yard-stick cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeostat.evaluate import compare, summary
from homeostat.evaluate.predictions import Predictions, read
from homeostat.run import Run

# Cells, not rows: a long record must not outvote a short one.
PER_CELL = "rmse per subject"


def scores(folder: Path) -> Mapping[str, Any]:
    """The contents of metrics.json, from the prediction files alone."""
    run = Run(folder)
    files = sorted(run.predictions.glob("*.parquet"))
    made = [read(file) for file in files]
    main = next((p for p in made if p.split == "test"), made[0])
    model = next(
        read(run.predictions / name).model
        for name in ("test.parquet", "valid.parquet")
        if (run.predictions / name).exists()
    )
    has_curves = main.time is not None
    settings = summary.Settings(headline=PER_CELL if has_curves else "rmse", model=model)
    metrics = summary.summarise(files, ledger_file=run.ledger_file, settings=settings)
    if has_curves:
        metrics["comparisons"] = [c.as_dict() for c in per_cell(made, model)]
    return metrics


def per_cell(made: list[Predictions], model: str) -> tuple[compare.Comparison, ...]:
    """The model of the run against each yard-stick on the test cells; cells are what is resampled."""
    test = {p.model: p for p in made if p.split == "test"}
    if model not in test or len(set(test[model].subjects)) < 2:
        return ()
    own = test[model]
    return compare.adjusted(
        [
            compare.paired_bootstrap([own.one(name)], [other.one(name)], PER_CELL)
            for other_name, other in test.items()
            if other_name != model
            for name in own.names
        ]
    )
