"""Which of the seed's fixes matter? One change each from the defaults, on simulated donors whose limit is known.

Each row is trained with the same seeds on the same donors left out, and compared with the first row pair by pair: the
spread is over the seeds. The seed's learning rates come twice, with as many steps as the defaults and with eight times
as many. Nothing here runs in fp16, so its rounding is put around every convolution instead, forward and backward (the
gradient scaled as a GradScaler would); a stale cache cannot be put there at all, because stores are named by content.

    python benchmarks/cell_ladder.py [--seeds 2] [--first-seed 0] [--donors D2 D4 D5] [--only "defaults" "balanced"]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor, nn

from homeostat.data.store import Store
from homeostat.engine.fit import fit
from homeostat.recipes.cell import learn
from homeostat.recipes.cell.cohort import Volumes, protocol_of
from homeostat.recipes.cell.config import Config, demo
from homeostat.recipes.cell.model import ResNet3d
from homeostat.recipes.cell.prepare import blueprint
from homeostat.recipes.cell.simulate import simulate
from homeostat.run import create

LOSS_SCALE = 2.0**10


class Halved(torch.autograd.Function):
    """Rounded to fp16 and back, the scaled gradient too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.half().float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return (gradients[0] * LOSS_SCALE).half().float() / LOSS_SCALE


def in_fp16(model: ResNet3d) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv3d):
            layer.register_forward_pre_hook(lambda _, given: (Halved.apply(given[0]),))
            layer.register_forward_hook(lambda _, __, out: Halved.apply(out))


def kaiming_last(model: ResNet3d) -> None:
    """As the seed's fix does: fan out of a layer with one output."""
    nn.init.kaiming_normal_(model.last.weight, mode="fan_out", nonlinearity="leaky_relu")
    nn.init.zeros_(model.last.bias)


def torch_start(model: ResNet3d) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv3d):
            layer.reset_parameters()


def unchanged(model: ResNet3d) -> None:
    del model


@dataclass(frozen=True)
class Row:
    """One change."""

    config: Callable[[Config], Config] = lambda config: config
    model: Callable[[ResNet3d], None] = unchanged


def rate(value: float, times: int = 1) -> Row:
    def changed(config: Config) -> Config:
        optim = replace(config.fit.optim, learning_rate=value)
        return replace(config, fit=replace(config.fit, optim=optim, epochs=config.fit.epochs * times))

    return Row(changed)


def network(**options: Any) -> Row:
    return Row(lambda config: replace(config, model=replace(config.model, **options)))


def augmented(**options: Any) -> Row:
    return Row(lambda config: replace(config, augment=replace(config.augment, **options)))


ROWS = {
    "defaults": Row(),
    "Kaiming on the last layer": Row(model=kaiming_last),
    "torch's own start": Row(model=torch_start),
    "fp16 around convolutions": Row(model=in_fp16),
    "no channel dropout": network(channel_dropout=0.0),
    "channel dropout .3": network(channel_dropout=0.3),
    "GroupNorm": network(norm="group"),
    "not equalised": augmented(equalise=False),
    "absolute counts, not equalised": Row(
        lambda config: replace(config, light="photons", augment=replace(config.augment, equalise=False))
    ),
    "balanced": Row(lambda config: replace(config, balance=True)),
    "no augmentation but thinning": augmented(
        symmetries="none", rotation_deg=0.0, zoom=0.0, shift=0.0, time_shift=0.0
    ),
    "learning rate 1e-4": rate(1e-4),
    "learning rate 5e-5": rate(5e-5),
    "learning rate 1e-4, 8 x the steps": rate(1e-4, 8),
    "learning rate 5e-5, 8 x the steps": rate(5e-5, 8),
}


def one(
    row: Row, config: Config, store: Store, rows: learn.Rows, test: np.ndarray, seed: int
) -> tuple[float, float]:
    """The first loss, and the test AUROC of one network."""
    config = row.config(config)
    task = learn.make_task(config, rows, seed)
    assert isinstance(task.model, ResNet3d)
    row.model(task.model)
    losses: list[float] = []

    def heard(model: nn.Module, batch: learn.Batch) -> learn.Loss:
        told = learn.loss(model, batch, config.label_smoothing)
        losses.append(float(told.total.detach()))
        return told

    settings = replace(config.fit, seed=seed, audits=False, evaluate_every=10**9)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        state = fit(replace(task, loss=heard), settings, create(Path(folder) / "run", {}))
    best = state.best_model()
    assert isinstance(best, ResNet3d)
    told = learn.probabilities(best, store, test, config.views)
    return losses[0], learn.scores(store["label"][test], told)["valid/auroc"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--donors", nargs="+", default=["D2", "D4", "D5"])
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    config = demo()
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "cells", 1)
        store = blueprint(Path(folder) / "cells", config.data).build(Path(folder) / "stores")
        chosen = replace(config, held_out=tuple(asked.donors), protocol="leave-one-out")
        splits = protocol_of(chosen, Volumes(store)).splits
        ids = [str(volume) for volume in store["volume"]]
        parts = {
            name: {part: np.sort(split.rows(ids, part)) for part in ("train", "valid", "test")}
            for name, split in splits.items()
        }
        bayes = {
            name: learn.scores(store["label"][rows["test"]], expit(store["bayes"][rows["test"]]))[
                "valid/auroc"
            ]
            for name, rows in parts.items()
        }
        print("Bayes score:", ", ".join(f"{name} {value:.3f}" for name, value in bayes.items()), flush=True)
        print(
            "| changed | first loss | mean AUROC | of each seed | against the first row | each donor | processor s |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        reference: np.ndarray | None = None
        for name in asked.only:
            began = time.process_time()
            found = np.array(
                [
                    [
                        one(
                            ROWS[name],
                            config,
                            store,
                            learn.Rows(store=store, train=rows["train"], valid=rows["valid"]),
                            rows["test"],
                            seed,
                        )
                        for rows in parts.values()
                    ]
                    for seed in seeds
                ]
            )
            first, aurocs = found[..., 0].mean(), found[..., 1]
            reference = aurocs if reference is None else reference
            lead = (aurocs - reference).mean(axis=1)
            spread = f" +- {lead.std(ddof=1):.3f}" if len(lead) > 1 else ""
            print(
                f"| {name} | {first:.2f} | {aurocs.mean():.3f} | {' '.join(f'{v:.3f}' for v in aurocs.mean(axis=1))} "
                f"| {lead.mean():+.3f}{spread} "
                f"| {' '.join(f'{donor} {v:.3f}' for donor, v in zip(parts, aurocs.mean(axis=0), strict=True))} "
                f"| {time.process_time() - began:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
