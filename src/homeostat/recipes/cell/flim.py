"""Fluorescence-lifetime stacks: a folder per donor, one .npy per cell, the class in the name (`_in`, `_act`)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.table import Column, read_table
from homeostat.data.volume import fitted, read_array
from homeostat.errors import DataError
from homeostat.recipes.cell.volumes import Volumes

CLASS = re.compile(r"_(in|act)(?![a-z])", re.IGNORECASE)
TRUTH = "truth.csv"
"""A file of what the simulator knows about its cells; no table of volumes."""


def raw_files(path: Path) -> list[Path]:
    """The stacks, and what is known of them where they are simulated."""
    stacks, truth = stack_files(path), path / TRUTH
    return [*stacks, truth] if stacks and truth.exists() else stacks


def stack_files(path: Path) -> list[Path]:
    """Stacks in folders below the path; a folder that is itself a donor's counts as one."""
    if not path.is_dir():
        return []
    return sorted(path.glob("*/*.npy")) or sorted(path.glob("*.npy"))


def read(path: Path, *, side: int, time_bins: int) -> Volumes:
    """Counts summed into `time_bins` (a sum of Poisson counts is one), cells centred on their light."""
    files = stack_files(path)
    kept: list[Path] = []
    voxels = np.zeros((len(files), 1, time_bins, side, side), np.uint16)
    counts: dict[str, int] = {}
    for file in files:
        stack = load(file, time_bins)
        if not stack.any():
            counts["cells without a photon, dropped"] = counts.get("cells without a photon, dropped", 0) + 1
            continue
        if max(stack.shape[1:]) > side:
            what = f"cells larger than {side} pixels, cut around their light"
            counts[what] = counts.get(what, 0) + 1
        voxels[len(kept), 0] = fitted(stack, (time_bins, side, side), centre_of_light(stack))
        kept.append(file)
    labels = [label_of(file) for file in kept]
    unknown = int(np.isnan(labels).sum())
    if unknown:
        counts["cells with neither _in nor _act in their name, class unknown"] = unknown
    return Volumes(
        source="flim",
        kind="photons",
        ids=tuple(cell_of(file) for file in kept),
        voxels=voxels[: len(kept)],
        channels=("photons",),
        label=np.array(labels),
        groups=tuple(donor_of(file) for file in kept),
        parts=("",) * len(kept),
        classes=("inactive", "active"),
        counts=counts,
        meta={"group_name": "donor"},
        bayes=bayes_scores(path / TRUTH, kept),
    )


def bayes_scores(truth: Path, files: list[Path]) -> Array | None:
    """(cells,) what the simulator says about each; None where nobody knows."""
    if not truth.exists():
        return None
    truths = read_table(truth, [Column(name="id", kind="text"), Column(name="bayes_score")]).frame
    score = dict(zip(truths["id"], truths["bayes_score"], strict=True))
    absent = [file for file in files if cell_of(file) not in score]
    if absent:
        raise DataError(
            f"{truth} knows nothing of {cell_of(absent[0])} ({len(absent)} such cells). Simulate the cells again, or "
            "remove the table."
        )
    return np.array([score[cell_of(file)] for file in files])


def load(file: Path, time_bins: int) -> Array:
    """(height, width, time) of counts -> (time_bins, height, width) of uint16."""
    stack = read_array(file)
    if stack.ndim != 3 or stack.dtype.kind not in "uif" or stack.size == 0:
        raise DataError(
            f"{file} has shape {stack.shape} and type {stack.dtype}; expected height x width x time of photon counts."
        )
    if stack.shape[2] % time_bins:
        raise DataError(
            f"{file} has {stack.shape[2]} time bins, which {time_bins} does not divide. Set --time-bins to one "
            "that does."
        )
    if not np.isfinite(stack).all() or stack.min(initial=0) < 0 or (stack != np.rint(stack)).any():
        raise DataError(f"{file} holds values that are no photon counts (negative, broken or not finite).")
    summed: Array = stack.astype(np.float64).reshape(*stack.shape[:2], time_bins, -1).sum(axis=3)
    if summed.max(initial=0) > np.iinfo(np.uint16).max:
        raise DataError(f"{file} has more than 65,535 photons in a time bin. Raise --time-bins.")
    return summed.astype(np.uint16).transpose(2, 0, 1)


def centre_of_light(stack: Array) -> tuple[float, float, float]:
    image = stack.sum(axis=0, dtype=np.float64)
    rows, columns = (np.arange(size) for size in image.shape)
    total = image.sum()
    return (stack.shape[0] - 1) / 2, float(image.sum(1) @ rows / total), float(image.sum(0) @ columns / total)


def cell_of(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def label_of(file: Path) -> float:
    found = CLASS.findall(file.stem)
    return float(found[-1].lower() == "act") if found else float("nan")


def donor_of(file: Path) -> str:
    """`isolated_cells_D3` is donor D3; other folders are called what they are called."""
    return file.parent.name.removeprefix("isolated_cells_")
