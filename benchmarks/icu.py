"""How fast does the latent ODE of the icu recipe train, beside seed 0's architecture written with torchdiffeq?

The peer is seed 0 as it was run: values and mask of every minute into a GRU from back to front, z(0), dopri5 from 0 to
48 in raw hours at torchdiffeq's default tolerances, a decoder, weighted cross-entropy plus divergence, Adam, batches
of 64. Ours is `fit` on the recipe's own task: gathering, hiding, reconstruction at each stay's own times, journal and
weight averaging included. They take turns; the ratio is the median of those of the rounds, so that a busy neighbour
counts on both sides.

    python benchmarks/icu.py [--data FOLDER] [--rounds 5] [--batches 6] [--peer-epochs 0]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torchdiffeq
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn

from homeostat.engine.fit import fit
from homeostat.recipes.icu import cohort as cohorts
from homeostat.recipes.icu import recipe, simulate, training
from homeostat.recipes.icu.cohort import Batch, Cohort
from homeostat.recipes.icu.config import Config
from homeostat.recipes.icu.latent import LatentOde
from homeostat.run import create

LATENT, HIDDEN, FIELD, SIZE, KL, POSITIVE = 64, 128, 64, 64, 0.1, 6.19
AUTOCAST_LIMIT = 20_000
TARGET = 15.0


class TooMany(Exception):
    """The peer's solver went past the number of evaluations that this benchmark waits for."""


class SeedField(nn.Module):
    """Seed 0's autonomous vector field; counts its evaluations."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(LATENT, FIELD), nn.Tanh(), nn.Linear(FIELD, FIELD), nn.Tanh(), nn.Linear(FIELD, LATENT)
        )
        self.evaluations, self.limit = 0, 0

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        self.evaluations += 1
        if self.limit and self.evaluations > self.limit:
            raise TooMany
        return self.net(z)


class Seed(nn.Module):
    """Seed 0's model at its second run's sizes: 64 latent dimensions, 128 hidden units."""

    def __init__(self, variables: int) -> None:
        super().__init__()
        self.gru = nn.GRU(2 * variables, HIDDEN, batch_first=True)
        self.start = nn.Linear(HIDDEN, 2 * LATENT)
        self.field = SeedField()
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        _, hidden = self.gru(rows.flip(1))
        mean, log_variance = self.start(hidden[0]).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean
        end = torchdiffeq.odeint(self.field, z, torch.tensor([0.0, 48.0]), method="dopri5")[-1]
        return self.decoder(end)[:, 0], mean, log_variance


def minutes(batch: Batch, variables: int) -> Tensor:
    """(B, T, 2 V): values and mask of every minute with observations, as seed 0 stores them."""
    rows = torch.zeros(*batch.moments.shape, 2 * variables)
    rows[batch.owner, batch.step, batch.variable] = batch.value
    rows[batch.owner, batch.step, variables + batch.variable] = 1.0
    return rows


def seed_loss(model: Seed, rows: Tensor, label: Tensor) -> Tensor:
    logit, mean, log_variance = model(rows)
    weight = torch.tensor(POSITIVE)
    death = nn.functional.binary_cross_entropy_with_logits(logit.float(), label, pos_weight=weight)
    return death - 0.5 * KL * (1 + log_variance - mean**2 - log_variance.exp()).mean()


def seed_epoch(model: Seed, optimizer: torch.optim.Optimizer, stays: Cohort, rows: np.ndarray) -> None:
    for first in range(0, len(rows), SIZE):
        batch = stays.gather(rows[first : first + SIZE])
        optimizer.zero_grad()
        seed_loss(model, minutes(batch, stays.variables), batch.label).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def our_epoch(stays: Cohort, rows: np.ndarray, folder: Path) -> float:
    """Patients per second over one epoch of `fit`, from its first step to its last."""
    config = replace(Config(), fit=replace(Config().fit, epochs=1, journal_every=1))
    network = training.prepared("latent-ode", config, stays, rows)
    task = replace(
        training.training(network, config, stays, rows, rows), score=lambda model: {"valid/auroc": 0.5}
    )
    marks: list[float] = []
    whole = task.loss

    def timed(model: nn.Module, batch: Batch) -> object:
        marks.append(time.perf_counter())
        return whole(model, batch)

    run = create(folder, {"recipe": "icu", "config": {}})
    with run.active():
        fit(replace(task, loss=timed), config.fit, run)
    return config.batch_size * (len(marks) - 1) / (marks[-1] - marks[0])


def race(
    stays: Cohort, rows: np.ndarray, rounds: int, batches: int, folder: Path
) -> tuple[float, float, Seed]:
    ours, peers = [], []
    torch.manual_seed(0)
    model = Seed(stays.variables).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for place in range(rounds):
        chosen = np.random.default_rng(place).choice(rows, min(batches * SIZE, len(rows)), replace=False)
        began = time.perf_counter()
        seed_epoch(model, optimizer, stays, chosen)
        peers.append(len(chosen) / (time.perf_counter() - began))
        ours.append(our_epoch(stays, rows, folder / f"round-{place}"))
    return ours, peers, model


def evaluations_of_seed(model: Seed, batch: Batch, variables: int, autocast: bool) -> tuple[str, float]:
    model.field.evaluations, model.field.limit = 0, AUTOCAST_LIMIT
    began, end = time.perf_counter(), ""
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            model(minutes(batch, variables))
    except (TooMany, AssertionError) as error:
        end = " and not at the end" if isinstance(error, TooMany) else f" until it stopped: {error}"
    return f"{model.field.evaluations:,}{end}", time.perf_counter() - began


def evaluations_of_ours(network: nn.Module, batch: Batch, autocast: bool) -> tuple[str, float]:
    began = time.perf_counter()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        read = network(batch)
    return f"{int(read.evaluations.max()):,}", time.perf_counter() - began


def disaster(model: Seed, stays: Cohort, rows: np.ndarray) -> None:
    """What autocast over the whole forward pass does to either."""
    batch = stays.gather(rows[:SIZE])
    network = training.prepared("latent-ode", Config(), stays, rows).eval()
    assert isinstance(network, LatentOde)
    evaluations_of_ours(network, batch, False)
    print("\none batch of 64, forward           evaluations of the field    seconds")
    for autocast, name in ((False, "fp32"), (True, "bf16 autocast")):
        for who, (count, seconds) in (
            ("seed 0", evaluations_of_seed(model.eval(), batch, stays.variables, autocast)),
            ("ours", evaluations_of_ours(network, batch, autocast)),
        ):
            print(f"{who:8} {name:16} {count:>36} {seconds:12.3f}")


def score_seed(stays: Cohort, rows: np.ndarray, valid: np.ndarray, epochs: int) -> None:
    torch.manual_seed(0)
    model = Seed(stays.variables)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        seed_epoch(model.train(), optimizer, stays, np.random.default_rng(epoch).permutation(rows))
        parts = [stays.gather(valid[first : first + 500]) for first in range(0, len(valid), 500)]
        with torch.no_grad():
            told = torch.cat([model.eval()(minutes(part, stays.variables))[0] for part in parts]).numpy()
        truth = stays.label[valid]
        auroc, auprc = roc_auc_score(truth, told), average_precision_score(truth, told)
        print(f"seed 0, epoch {epoch + 1}: AUROC {auroc:.4f}, AUPRC {auprc:.4f} on set b", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("HOMEOSTAT_DATA", "../shared/data")) / "physionet2012"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=6, help="batches of the peer in a round")
    parser.add_argument(
        "--peer-epochs", type=int, default=0, help="also train the peer and score it on set b"
    )
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    with tempfile.TemporaryDirectory() as scratch:
        folder, data = Path(scratch), asked.data
        if not data.is_dir():
            print(f"No data at {data}: simulated stays instead.")
            data = folder / "simulated"
            simulate.simulate(data, 0)
        store = recipe.recipe.prepare(Config(), data, folder / "stores")
        group = np.asarray(store["group"])
        rows, valid = np.flatnonzero(group == "a"), np.flatnonzero(group == "b")
        curves, static = cohorts.fit_curves(store, rows), cohorts.fit_static(store, rows)
        stays = cohorts.standardise(cohorts.load(store, curves, static), rows)
        ours, peers, model = race(stays, rows, asked.rounds, asked.batches, folder)
        print(f"{len(rows):,} stays, {torch.get_num_threads()} threads, torch {torch.__version__}")
        print(f"seed 0, torchdiffeq {torchdiffeq.__version__}: {statistics.median(peers):8.1f} patients/s")
        print(f"ours, fit on the recipe's task: {statistics.median(ours):8.1f} patients/s")
        ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, peers, strict=True))
        print(f"ratio {ratio:.1f} (promised: at least {TARGET:g})")
        disaster(model, stays, rows)
        if asked.peer_epochs:
            score_seed(stays, rows, valid, asked.peer_epochs)
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
