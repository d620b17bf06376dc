"""Simulated cells: bi-exponential decays behind an instrument response, photon by photon, with known truth.

NAD(P)H glows for 0.4 ns when it is free and 2.4 ns when bound to a protein; activated T cells hold more of it
free. Donors differ in how common activation is, in brightness, and in whether active cells are the brighter
ones, as the seed's six do. Whoever knows the optics but not the donor can do no better than `bayes_score`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.ragged import Array
from homeostat.recipes.cell.flim import TRUTH

TIME_BINS = 256
PERIOD_NS = 12.5
RESPONSE_NS = (1.5, 0.12)
"""Centre and spread of the instrument response."""
FREE_NS, BOUND_NS = 0.4, 2.4
BACKGROUND = 0.02
"""Share of photons that come at any time."""
FREE_SHARE = {False: 0.70, True: 0.78}
"""Mean amplitude of the free component in inactive and active cells."""
FREE_SPREAD = 0.035
GRID = np.linspace(0.5, 0.95, 181)


@dataclass(frozen=True)
class Donor:
    """Shares and brightness follow the seed's six donors."""

    name: str
    active: float
    photons_per_pixel: float
    active_brightness: float
    """Brightness of active cells relative to inactive ones."""


DONORS = (
    Donor("D1", 0.27, 40, 0.81),
    Donor("D2", 0.21, 52, 0.88),
    Donor("D3", 0.20, 45, 0.96),
    Donor("D4", 0.74, 33, 0.90),
    Donor("D5", 0.67, 60, 1.86),
    Donor("D6", 0.23, 48, 1.60),
)


def simulate(folder: Path, seed: int, *, cells: int = 48) -> None:
    """`cells` per donor in the layout of the real data, and truth.csv beside them."""
    rows = []
    for donor in DONORS:
        place = folder / f"isolated_cells_{donor.name}"
        place.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([seed, int(donor.name[1:])])
        # Shares are kept exactly, so that no donor of a small cohort is left without a class.
        active = random.permutation(cells) < max(1, round(donor.active * cells))
        for number in range(cells):
            is_active = bool(active[number])
            free = free_share(random, is_active)
            stack = one_cell(random, donor, free, is_active=is_active)
            name = f"cell{number:04d}_{'act' if is_active else 'in'}"
            np.save(place / f"{name}.npy", stack)
            histogram = stack.sum(axis=(0, 1), dtype=np.float64)
            rows.append(
                {
                    "id": f"{place.name}/{name}",
                    "donor": donor.name,
                    "active": int(is_active),
                    "free": free,
                    "photons": histogram.sum(),
                    "bayes_score": bayes_score(histogram),
                }
            )
    pl.DataFrame(rows).write_csv(folder / TRUTH)


def free_share(random: np.random.Generator, is_active: bool) -> float:
    return float(np.clip(random.normal(FREE_SHARE[is_active], FREE_SPREAD), GRID[0], GRID[-1]))


def one_cell(random: np.random.Generator, donor: Donor, free: float, *, is_active: bool) -> Array:
    """(height, width, 256) photon counts of a round cell with a dim nucleus."""
    radius = random.uniform(4.0, 6.5)
    side = int(2 * np.ceil(radius) + 1)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    away = np.hypot(y, x * random.uniform(0.85, 1.15))
    light = (away < radius) * (1 - 0.5 * np.exp(-((away / (0.45 * radius)) ** 2)))
    light *= random.gamma(20, 1 / 20, light.shape)
    brightness = donor.photons_per_pixel * (donor.active_brightness if is_active else 1.0)
    brightness *= random.lognormal(0, 0.25)
    counts: Array = random.poisson(brightness * light[:, :, None] * arrival(free))
    return counts.astype(np.uint16)


def arrival(free: float) -> Array:
    """Probability of each time bin, (256,)."""
    photons = np.array([free * FREE_NS, (1 - free) * BOUND_NS])
    shares = photons / photons.sum() * (1 - BACKGROUND)
    light: Array = shares @ COMPONENTS + BACKGROUND / TIME_BINS
    return light


def component(lifetime_ns: float) -> Array:
    """An exponential behind the response; what is left after one period adds to the next."""
    fine = 8
    time = (np.arange(TIME_BINS * fine) + 0.5) * PERIOD_NS / (TIME_BINS * fine)
    decay = np.exp(-time / lifetime_ns) / (1 - np.exp(-PERIOD_NS / lifetime_ns))
    response = np.exp(-0.5 * ((time - RESPONSE_NS[0]) / RESPONSE_NS[1]) ** 2)
    seen = np.fft.irfft(np.fft.rfft(decay) * np.fft.rfft(response), len(time)).clip(min=0)
    binned = seen.reshape(TIME_BINS, fine).sum(axis=1)
    course: Array = binned / binned.sum()
    return course


COMPONENTS = np.stack([component(FREE_NS), component(BOUND_NS)])


def bayes_score(histogram: Array) -> float:
    """Log likelihood ratio, active over inactive, of arrival times (256,); brightness tells about donors and is not
    used. The free share is unknown: it is integrated over what each class allows."""
    likelihood = np.log(np.stack([arrival(free) for free in GRID])) @ histogram
    evidence = []
    for is_active in (True, False):
        prior = -0.5 * ((GRID - FREE_SHARE[is_active]) / FREE_SPREAD) ** 2
        evidence.append(np.logaddexp.reduce(likelihood + prior))
    return float(evidence[0] - evidence[1])
