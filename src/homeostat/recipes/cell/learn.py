"""The task of a network: volumes of a store, changed at random, and the cross-entropy of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from homeostat.data.batches import Batches, Indices
from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.engine.settings import Settings
from homeostat.errors import DataError
from homeostat.plugin.address import is_address
from homeostat.recipes.cell import augment
from homeostat.recipes.cell.augment import Turns
from homeostat.recipes.cell.config import Config
from homeostat.recipes.cell.model import LAYOUTS, NetworkName, ResNet3d
from homeostat.recipes.cell.own import Net3d, replaced
from homeostat.task.randomness import address, seeded
from homeostat.task.task import Loss, Task

# Volumes on which a network of one's own is tried before it is trained.
TRIED = 4
TOGETHER = 64
"""Volumes scored in one go: memory, not results, depends on it."""


@dataclass(frozen=True)
class Batch:
    """B samples."""

    ids: Tensor
    """(B,) places in the training order."""
    volume: Tensor
    """(B, C, D, H, W) as stored, or changed from it."""
    label: Tensor
    """(B,)"""
    partner_label: Tensor | None = None
    """(B,) where samples are mixed with others."""
    share: Tensor | None = None
    """(B,) of the sample itself in the mixture."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a store that one network learns from and is judged on."""

    store: Store
    train: Array
    valid: Array

    def __post_init__(self) -> None:
        for name, rows in (("Training", self.train), ("Validation", self.valid)):
            known = np.unique(self.store["label"][rows])
            if len(known[np.isfinite(known)]) < 2 or not np.isfinite(known).all():
                raise DataError(
                    f"{name} ({len(rows):,} volumes) must hold both classes and no unknown label. Add labels, or "
                    "choose another split."
                )


def network(config: Config, store: Store, seed: int) -> Net3d:
    """An untrained network for the volumes of a store; the same for the same seed."""
    kind = str(store.meta["kind"])
    usual: NetworkName = "time" if kind == "photons" else "tiny"
    name = next((name for name in LAYOUTS if name == config.model.network), usual)
    voxels = store["voxels"]
    unit = float(np.iinfo(voxels.dtype).max)
    with seeded(seed, "model"):
        ours = ResNet3d(
            config.model,
            name,
            channels=voxels.shape[1],
            encoding=config.light if kind == "photons" else "scaled",
            unit=unit,
        )
        if not is_address(config.model.network):
            return ours
        return replaced(config.model.network, ours, voxels_of(store, np.arange(min(TRIED, len(voxels)))))


def places(config: Config, rows: Rows) -> Array:
    """Training rows in an epoch; balanced, the rarer class comes round again until it is as common."""
    if not config.balance:
        return np.sort(rows.train)
    label = rows.store["label"][rows.train]
    parts = [rows.train[label == value] for value in (0, 1)]
    longest = max(len(part) for part in parts)
    return np.concatenate([np.resize(np.sort(part), longest) for part in parts])


def settings(config: Config, seed: int, task: Task[Batch]) -> Settings:
    """The settings of one network. With the last weights it is scored once, at the end of the schedule."""
    chosen = replace(config.fit, seed=seed)
    if config.weights == "best":
        return chosen
    return replace(chosen, evaluate_every=chosen.epochs * len(task.batches) + 1)


def make_task(config: Config, rows: Rows, seed: int) -> Task[Batch]:
    store, shown = rows.store, places(config, rows)
    natural = float(store["label"][rows.train].mean())
    model = network(config, store, seed).start_at_prior(float(store["label"][shown].mean()), natural)

    def score(scored: nn.Module) -> Mapping[str, float]:
        assert isinstance(scored, Net3d)
        return scores(store["label"][rows.valid], probabilities(scored, store, rows.valid, 1))

    return Task(
        model=model,
        batches=Batches(
            count=len(shown),
            size=min(config.batch_size, len(shown)),
            gather=lambda chosen: gather(store, shown, chosen),
            augment=Changer(config, store, shown, seed, levels(store, shown)),
            seed=seed,
            drop_last=len(shown) > config.batch_size,
        ),
        loss=lambda model, batch: loss(model, batch, config.label_smoothing),
        score=score,
        select="valid/auroc",
        direction="max",
    )


def gather(store: Store, rows: Array, chosen: Indices) -> Batch:
    taken = rows[chosen]
    return Batch(
        ids=torch.from_numpy(np.asarray(chosen)),
        volume=voxels_of(store, taken),
        label=torch.from_numpy(np.asarray(store["label"][taken], np.float32)),
    )


def voxels_of(store: Store, rows: Array) -> Tensor:
    """As float32, which holds every count and grey value exactly."""
    return torch.from_numpy(np.asarray(store["voxels"][rows], np.float32))


def levels(store: Store, rows: Array) -> tuple[float, float]:
    """Between which mean counts training is equalised: half of what nearly all training stacks have, to the median."""
    if store.meta["kind"] != "photons":
        return 1.0, 1.0
    means = np.array([float(store["voxels"][row].mean()) for row in np.unique(rows)])
    return 0.5 * float(np.quantile(means, 0.05)), float(np.median(means))


@dataclass(frozen=True)
class Changer:
    """Changes each sample and mixes some with another one, by (seed, epoch, place)."""

    config: Config
    store: Store
    rows: Array
    seed: int
    levels: tuple[float, float]

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        volume = self._changed(batch, epoch)
        options = self.config.augment
        if not options.mixup:
            return replace(batch, volume=volume)
        places = batch.ids.tolist()
        drawn = [np.random.default_rng(address(self.seed, "mixup", epoch, place)) for place in places]
        is_mixed = np.array([random.random() < options.mixup_share for random in drawn])
        share = np.array([random.beta(options.mixup, options.mixup) for random in drawn])
        others = np.array([random.integers(len(self.rows)) for random in drawn])
        others, share = np.where(is_mixed, others, places), np.where(is_mixed, share, 1.0).astype(np.float32)
        partner = gather(self.store, self.rows, others)
        weight = torch.from_numpy(share)
        wide = weight[:, None, None, None, None]
        mixed = wide * volume + (1 - wide) * self._changed(partner, epoch)
        return replace(batch, volume=mixed, partner_label=partner.label, share=weight)

    def _changed(self, batch: Batch, epoch: int) -> Tensor:
        options, kind = self.config.augment, self.store.meta["kind"]
        is_time = kind == "photons"
        sides = batch.volume.shape[2:]
        change = augment.draw(options, self.seed, epoch, batch.ids.tolist(), sides, is_time=is_time)
        if is_time and options.equalise:
            change = augment.equalised(change, batch.volume, self.levels)
        return augment.apply(change, batch.volume, kind)


def loss(model: nn.Module, batch: Batch, smoothing: float) -> Loss:
    """Binary cross-entropy in fp32."""
    logits = model(batch.volume).float()
    label = batch.label
    if batch.share is not None and batch.partner_label is not None:
        # The same as mixing two losses: cross-entropy is linear in the label.
        label = batch.share * label + (1 - batch.share) * batch.partner_label
    total = functional.binary_cross_entropy_with_logits(logits, label * (1 - smoothing) + smoothing / 2)
    plain = functional.binary_cross_entropy_with_logits(logits.detach(), label)
    return Loss(total, terms={"bce": plain}, count=len(batch.ids))


def scores(truth: Array, output: Array) -> dict[str, float]:
    """AUROC drives the run; recall, precision and prevalence let a guard see a collapse to one class."""
    yes = output >= 0.5
    found = float((yes & (truth == 1)).sum())
    clipped = np.clip(output, 1e-7, 1 - 1e-7)
    return {
        "valid/auroc": float(roc_auc_score(truth, output)),
        "valid/auprc": float(average_precision_score(truth, output)),
        "valid/bce": float(-np.mean(np.where(truth == 1, np.log(clipped), np.log1p(-clipped)))),
        "valid/recall": found / float((truth == 1).sum()),
        "valid/precision": found / max(float(yes.sum()), 1.0),
        "valid/prevalence": float(truth.mean()),
    }


def probabilities(model: Net3d, store: Store, rows: Array, views: int, symmetries: Turns = "auto") -> Array:
    """The mean probability over symmetric views, (rows,)."""
    is_time = store.meta["kind"] == "photons"
    device = next(model.parameters()).device
    model.eval()
    means = []
    for start in range(0, len(rows), TOGETHER):
        volume = voxels_of(store, rows[start : start + TOGETHER]).to(device)
        with torch.no_grad():
            seen = [
                torch.sigmoid(model(view).float())
                for view in augment.views(volume, symmetries, is_time=is_time, count=views)
            ]
        means.append(torch.stack(seen).double().mean(dim=0).cpu())
    return torch.cat(means).numpy()
