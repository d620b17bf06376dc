"""Slices of a few volumes, as a recipe leaves them beside its predictions for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.errors import DataError
from homeostat.run import sealed

NAME = "slices.json"
"""Name of the file in the folder of predictions."""
MOST_PIXELS = 64
"""A side of a slice; more would make the page heavy, and a report is a first look."""


@dataclass(frozen=True, kw_only=True)
class Slices:
    """One volume, cut: its planes by name are (height, width) of 0 to 255."""

    identity: str
    """The id of its row in the predictions."""
    classes: tuple[str, str]
    """Names of no and yes."""
    planes: Mapping[str, np.ndarray]


def grey(plane: np.ndarray) -> np.ndarray:
    """Return a plane as grey values from its smallest to its largest, thinned to what a page holds."""
    step = -(-max(plane.shape) // MOST_PIXELS)
    thinned = np.asarray(plane, np.float64)[::step, ::step]
    span = float(thinned.max() - thinned.min())
    scaled = (thinned - thinned.min()) / span if span else np.zeros_like(thinned)
    return np.round(255 * scaled).astype(np.uint8)


def chosen(truth: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Return rows of each class: with the lowest, two middle and the highest output; the worst mistakes are in it."""
    rows: list[int] = []
    for value in (0, 1):
        inside = np.flatnonzero(truth == value)
        ranked = inside[np.argsort(output[inside], kind="stable")]
        places = np.unique(np.linspace(0, len(ranked) - 1, min(4, len(ranked))).round().astype(int))
        rows += ranked[places].tolist()
    return np.array(rows, int)


def write(path: Path, volumes: Sequence[Slices]) -> None:
    """Write {"volumes": [{"id", "classes", "planes": {name: rows}}]}; a row has two hexadecimal digits per pixel."""
    plain = [
        {
            "id": volume.identity,
            "classes": list(volume.classes),
            "planes": {name: [row.tobytes().hex() for row in plane] for name, plane in volume.planes.items()},
        }
        for volume in volumes
    ]
    sealed.write_json(path, {"volumes": plain})


def read(path: Path) -> tuple[Slices, ...]:
    """Read slices; there are none where no file is."""
    if not sealed.has(path):
        return ()
    plain = sealed.read_json(path)
    try:
        return tuple(_read(volume, path) for volume in plain["volumes"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} holds no slices of volumes ({error!r}). Train again to write them."
        ) from error


def _read(volume: Mapping[str, Any], path: Path) -> Slices:
    no, yes = map(str, volume["classes"])
    planes = {
        str(name): _checked(plane, f"{path}: {name} of {volume['id']}")
        for name, plane in volume["planes"].items()
    }
    return Slices(identity=str(volume["id"]), classes=(no, yes), planes=planes)


def _checked(rows: Any, where: str) -> np.ndarray:
    lines = [bytes.fromhex(row) for row in rows]
    width = len(lines[0]) if lines else 0
    if not 0 < width <= MOST_PIXELS or len(lines) > MOST_PIXELS or any(len(line) != width for line in lines):
        raise DataError(f"{where} is no picture of at most {MOST_PIXELS} x {MOST_PIXELS} pixels.")
    return np.frombuffer(b"".join(lines), np.uint8).reshape(len(lines), width)
