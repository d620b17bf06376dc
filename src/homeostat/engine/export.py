"""The best weights leave a run as safetensors, with the configuration that rebuilds the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from homeostat.engine import checkpoint
from homeostat.errors import CheckpointError
from homeostat.files import replacing, write_json
from homeostat.run import Run


def best_weights(run: Run) -> Mapping[str, Tensor]:
    """Return the weights with the best score, from the newest checkpoint of a run."""
    ring = checkpoint.ring(run.checkpoints)
    if not ring:
        raise CheckpointError(f"Run {run.name} has no checkpoint in {run.checkpoints}.")
    if not checkpoint.is_intact(ring[-1]):
        # An older one may hold other best weights: what is made from them would be another model.
        raise CheckpointError(
            f"{ring[-1]} was changed or removed after it was written. Restore it from a backup, or `homeostat resume` "
            "the run: it goes on from an older one."
        )
    best = checkpoint.read(ring[-1])["state"]["best"]
    if best is None:
        raise CheckpointError(f"Run {run.name} has not been scored yet, so it has no best model. Resume it.")
    weights: Mapping[str, Tensor] = best["weights"]
    return weights


def export(run: Run) -> list[Path]:
    """Write export/model.safetensors and export/config.json, for this run and for the runs inside it."""
    config = run.config()
    # A run that was made from Python has no recipe, and perhaps no settings.
    about = {"recipe": config.get("recipe", ""), "config": json.dumps(config.get("config", {}))}
    written: list[Path] = []
    for _, each in run.family():
        # Trees have no checkpoints: what they learnt is in `fitted`, in the format of their own library.
        if each.checkpoints.is_dir() and any(each.checkpoints.iterdir()):
            each.export.mkdir(exist_ok=True)
            weights = {name: value.contiguous().clone() for name, value in best_weights(each).items()}
            path = each.export / "model.safetensors"
            # In one piece from memory: save_file writes in place, and a kill left half a file under the final name.
            with replacing(path) as scratch:
                scratch.write_bytes(save(weights, metadata=about))
            write_json(each.export / "config.json", config)
            written += [path, each.export / "config.json"]
    if not written:
        raise CheckpointError(f"Run {run.name} has no checkpoint yet, so there is nothing to export.")
    return written
