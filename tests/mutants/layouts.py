"""A small sound data set in every raw layout that the recipes read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import polars as pl

from homeostat.recipes import find


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One layout of raw data."""

    name: str
    recipe: str
    write: Callable[[Path], None]
    """Writes a sound data set into an empty folder."""
    config: Callable[[], Any]


def challenge(folder: Path) -> None:
    from homeostat.recipes.icu.simulate import simulate

    simulate(folder, 0, stays={"a": 8, "b": 4})


def stays(suffix: str) -> Callable[[Path], None]:
    """The same stays as one table."""

    def write(folder: Path) -> None:
        random, rows = np.random.default_rng(0), []
        for stay in range(12):
            died = int(stay % 4 == 0)
            rows.append((3000 + stay, 100 + stay // 2, 0.0, "Age", 50.0 + stay, died))
            for hour in range(6):
                for name, mean in (("HR", 90.0), ("Temp", 37.0), ("Lactate", 2.0), ("MAP", 75.0)):
                    value = mean * (1 + 0.05 * random.normal())
                    rows.append((3000 + stay, 100 + stay // 2, hour + 0.5, name, value, died))
        names = ["stay", "subject", "time_h", "variable", "value", "outcome"]
        save(pl.DataFrame(rows, schema=names, orient="row"), folder / f"stays{suffix}")

    return write


def nasa(folder: Path) -> None:
    random = np.random.default_rng(0)
    summary, curves, charges = [], [], []
    for cell in ("B0005", "B0006"):
        for cycle in range(1, 13):
            health = 0.95 - 0.01 * cycle
            summary.append((cell, cycle, cycle * 0.4, 24, 2 * health, 0.05 + random.normal() * 1e-3, 0.07))
            for step in range(12):
                at, load = step * 110.0, -2.0 if 0 < step < 11 else -0.004
                noise = random.normal() * 0.01
                curves.append((cell, 4.1 - 0.08 * step + noise, load, 24.0 + step, at, cycle))
                charges.append((cell, cycle, 3.5 + 0.05 * step, 1.5, at))
    save(
        pl.DataFrame(
            summary,
            schema={
                "battery_id": pl.String,
                "cycle": pl.Int64,
                "days": pl.Float64,
                "ambient_c": pl.Int64,
                "capacity_ah": pl.Float64,
                "re_ohm_nearest": pl.Float64,
                "rct_ohm_nearest": pl.Float64,
            },
            orient="row",
        ),
        folder / "cycle_summary.parquet",
    )
    save(
        pl.DataFrame(
            curves,
            schema={
                "battery_id": pl.String,
                "Voltage_measured": pl.Float32,
                "Current_measured": pl.Float32,
                "Temperature_measured": pl.Float32,
                "Time": pl.Float32,
                "cycle_idx": pl.Int16,
            },
            orient="row",
        ),
        folder / "discharge_curves.parquet",
    )
    save(
        pl.DataFrame(
            charges,
            schema={
                "battery_id": pl.String,
                "charge_idx": pl.Int16,
                "voltage": pl.Float32,
                "current": pl.Float32,
                "charge_time": pl.Float32,
            },
            orient="row",
        ),
        folder / "charge_curves.parquet",
    )


def severson(folder: Path) -> None:
    random = np.random.default_rng(0)
    names = [f"train_{number:02d}" for number in range(6)]
    lives = [400 + 150 * number for number in range(6)]
    cells = pl.DataFrame(
        {
            "cell": names,
            "split": ["train"] * 4 + ["test"] * 2,
            "cycle_life": lives,
            "log10_var_dQ100_10": [-4.0 - 0.2 * number for number in range(6)],
            "log10_absmin_dQ100_10": [-1.5 - 0.1 * number for number in range(6)],
        }
    )
    save(cells, folder / "cells.parquet")
    rows = [
        (name, cycle, 1.08 - 0.2 * (cycle / life) ** 2)
        for name, life in zip(names, lives, strict=True)
        for cycle in range(2, 32)
    ]
    save(pl.DataFrame(rows, schema=["cell", "cycle", "qd_ah"], orient="row"), folder / "qd_per_cycle.parquet")
    drawn = np.linspace(1.05, 0, 21)[None, None] - random.uniform(0, 0.02, (6, 9, 21))
    np.savez_compressed(
        folder / "qv.npz",
        cell=np.array(names),
        cycle=np.arange(2, 11).astype(np.int16),
        q_ah=drawn.astype(np.float32),
        voltage_index=np.arange(21).astype(np.int16),
    )


def lgm50t(folder: Path) -> None:
    for place, cell in enumerate("AB"):
        tests = np.arange(9)
        frame = pl.DataFrame(
            {
                "Days of degradation": 30.0 * tests,
                "Ageing Cycles": 70 * tests,
                "C/10 Capacity [mA h]": 4900.0 - 60 * tests - 10 * place,
                "Charge Throughput [A h]": 400.0 * tests,
                "0.1s Resistance [Ohms]": 0.025 + 1e-3 * tests,
                "LAM NE": 0.01 * tests,
                "LLI": 0.02 * tests,
            }
        )
        save(frame, folder / f"Expt 5 - cell {cell} ({10 + 15 * place}degC) - Processed Data.csv")


def cells(folder: Path) -> None:
    from homeostat.recipes.battery.simulate import simulate

    simulate(folder, 0, cells=5, life_days=150)


def cells_parquet(folder: Path) -> None:
    cells(folder)
    save(pl.read_csv(folder / "cells.csv"), folder / "cells.parquet")
    (folder / "cells.csv").unlink()


def flim(folder: Path) -> None:
    from homeostat.recipes.cell.simulate import simulate

    simulate(folder, 0, cells=2)


def medmnist(folder: Path) -> None:
    arrays = {}
    for place, (part, count) in enumerate((("train", 12), ("val", 6), ("test", 6))):
        images, labels = balls(count, place)
        arrays |= {f"{part}_images": images, f"{part}_labels": labels[:, None].astype(np.uint8)}
    np.savez_compressed(folder / "balls.npz", **arrays)


def balls(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of balls; the larger ones are the positive class."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(10)] * 3, indexing="ij")) - 4.5
    labels = np.arange(count) % 2
    middle = random.normal(0, 0.5, (count, 3, 1, 1, 1))
    away = np.linalg.norm(grid[None] - middle, axis=1)
    return (away < (2.5 + labels)[:, None, None, None]).astype(np.uint8) * 255, labels


def volumes(folder: Path) -> None:
    random, rows = np.random.default_rng(0), []
    for number in range(12):
        image = random.integers(0, 200, (6, 7, 8)).astype(np.int16 if number % 2 else np.uint8)
        name = f"scan{number:02d}" + (".nii", ".nii.gz", ".npy")[number % 3]
        if name.endswith(".npy"):
            np.save(folder / name, image)
        else:
            nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / name)
        rows.append((name, number // 2 % 2, f"P{number // 2}"))
    save(pl.DataFrame(rows, schema=["file", "label", "donor"], orient="row"), folder / "volumes.csv")


def save(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")


def _plain(recipe: str) -> Callable[[], Any]:
    return lambda: find(recipe).config()


def _smoke(recipe: str) -> Callable[[], Any]:
    return lambda: find(recipe).preset("smoke")


LAYOUTS = (
    Layout(name="challenge", recipe="icu", write=challenge, config=_plain("icu")),
    Layout(name="stays csv", recipe="icu", write=stays(".csv"), config=_plain("icu")),
    Layout(name="stays tsv", recipe="icu", write=stays(".tsv"), config=_plain("icu")),
    Layout(name="stays parquet", recipe="icu", write=stays(".parquet"), config=_plain("icu")),
    Layout(name="nasa", recipe="battery", write=nasa, config=_plain("battery")),
    Layout(name="severson", recipe="battery", write=severson, config=_plain("battery")),
    Layout(name="lgm50t", recipe="battery", write=lgm50t, config=_plain("battery")),
    Layout(name="cells csv", recipe="battery", write=cells, config=_smoke("battery")),
    Layout(name="cells parquet", recipe="battery", write=cells_parquet, config=_smoke("battery")),
    Layout(name="flim", recipe="cell", write=flim, config=_smoke("cell")),
    Layout(name="medmnist", recipe="cell", write=medmnist, config=_plain("cell")),
    Layout(name="volumes", recipe="cell", write=volumes, config=_plain("cell")),
)
