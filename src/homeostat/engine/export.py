"""How do the best weights leave the run? As safetensors, with the configuration that rebuilds the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from homeostat.engine import checkpoint
from homeostat.errors import CheckpointError
from homeostat.files import write_json
from homeostat.run import Run


def best_weights(run: Run) -> Mapping[str, Tensor]:
    """The weights with the best score, from the newest intact checkpoint of a run."""
    for path in reversed(checkpoint.ring(run.checkpoints)):
        if checkpoint.is_intact(path):
            best = checkpoint.read(path)["state"]["best"]
            if best is None:
                raise CheckpointError(
                    f"Run {run.name} has not been scored yet, so it has no best model. Resume it."
                )
            weights: Mapping[str, Tensor] = best["weights"]
            return weights
    raise CheckpointError(f"Run {run.name} has no intact checkpoint in {run.checkpoints}.")


def export(run: Run) -> list[Path]:
    """Write export/model.safetensors and export/config.json, for this run and for the runs inside it."""
    written = _exported(run, run.config())
    if not written:
        raise CheckpointError(f"Run {run.name} has no checkpoint yet, so there is nothing to export.")
    return written


def _exported(run: Run, config: Mapping[str, Any]) -> list[Path]:
    written: list[Path] = []
    if run.checkpoints.is_dir():
        run.export.mkdir(exist_ok=True)
        weights = {name: value.contiguous().clone() for name, value in best_weights(run).items()}
        path = run.export / "model.safetensors"
        save_file(
            weights, path, metadata={"recipe": config["recipe"], "config": json.dumps(config["config"])}
        )
        write_json(run.export / "config.json", config)
        written = [path, run.export / "config.json"]
    return [*written, *(path for child in run.children() for path in _exported(child, config))]
