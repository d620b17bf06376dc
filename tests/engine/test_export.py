"""An export is whole: one that fails, or is killed, leaves the export before it as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from curve import SETTINGS, make_task
from disk import files_at_most
from homeostat.engine.export import best_weights, export
from homeostat.engine.fit import fit
from homeostat.errors import CheckpointError, OutOfResources
from homeostat.run import Run


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_full_disk_leaves_the_export_before_it(run: Run) -> None:
    fit(make_task(), SETTINGS, run)
    export(run)
    before = contents(run.export)
    with files_at_most(100), pytest.raises(OutOfResources, match=r"No room to write .*model\.safetensors"):
        export(run)
    assert contents(run.export) == before


def test_the_file_holds_the_best_weights(run: Run) -> None:
    fit(make_task(), SETTINGS, run)
    path, _ = export(run)
    weights, exported = best_weights(run), load_file(path)
    assert exported.keys() == weights.keys()
    assert all(exported[name].equal(weights[name]) for name in weights)


def test_an_untrained_run_has_nothing_to_export(run: Run) -> None:
    with pytest.raises(CheckpointError, match="has no checkpoint yet, so there is nothing to export"):
        export(run)
