"""Faults that can be seen before or after training: one line in LAWS each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.audits.ablation import Parent
from homeostat.audits.augmentation import Augmentation
from homeostat.audits.best_alias import Best
from homeostat.audits.case import Case, Given
from homeostat.audits.confounder import Recording
from homeostat.audits.drift import Populations
from homeostat.audits.given import Configuration, Folder, Splitting, Trial
from homeostat.audits.inputs import Inputs
from homeostat.audits.leakage import Contents
from homeostat.audits.masking import MaskedLoss
from homeostat.audits.normaliser import Normaliser
from homeostat.audits.padding import Padding
from homeostat.audits.provenance import Fitted
from homeostat.audits.selection import Selection
from homeostat.audits.start_loss import Prior, implied
from homeostat.audits.support import ScoredLabels, TrainingLabels
from homeostat.audits.tolerance import Solve
from homeostat.data.drift import profile
from homeostat.data.scaling import Scaler
from homeostat.data.splits import Splits
from homeostat.evaluate import ledger, predictions
from homeostat.files import write_json
from homeostat.run import Run, create, sealed
from homeostat.task.randomness import seeded
from homeostat.task.task import Loss
from planted.fault import Law

COUNT, FEATURES = 64, 3
Batch = dict[str, Tensor]


class Series:
    """Ragged series with an outcome that their first values tell."""

    def __init__(self, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self.lengths = torch.randint(4, 20, (COUNT,), generator=random)
        self.values = torch.randn(COUNT, 20, FEATURES, generator=random)
        self.times = torch.rand(COUNT, 20, generator=random).cumsum(1) / 20
        self.static = torch.randn(COUNT, 2, generator=random)
        self.label = (self.values[:, 0].sum(1) > 0).float()

    def batch(self, rows: np.ndarray) -> Batch:
        chosen = torch.from_numpy(np.asarray(rows))
        lengths = self.lengths[chosen]
        longest = int(lengths.max())
        mask = torch.arange(longest) < lengths[:, None]
        return {
            "ids": chosen,
            "values": self.values[chosen, :longest] * mask[..., None],
            "times": self.times[chosen, :longest] * mask,
            "static": self.static[chosen],
            "mask": mask,
            "label": self.label[chosen],
        }

    def plain(self, rows: np.ndarray) -> Batch:
        """Only the inputs that do not change with time."""
        return {name: value for name, value in self.batch(rows).items() if name in ("ids", "static", "label")}


class Reader(nn.Module):
    """A recurrent reader of a series in reverse order, as in the intensive-care guide."""

    def __init__(self, seed: int, fault: str = "") -> None:
        super().__init__()
        with seeded(seed, "model"):
            self.gru = nn.GRU(FEATURES + 1, 8, batch_first=True)
            self.head = nn.Linear(10, 1)
            self.spare = nn.Linear(8, 8)
        self.fault = fault

    def forward(self, batch: Batch) -> Tensor:
        x, mask = torch.cat([batch["values"], batch["times"][..., None]], dim=2), batch["mask"]
        lengths = mask.sum(1)
        if self.fault == "times unused":
            x = torch.cat([batch["values"], 0 * batch["times"][..., None]], dim=2)
        if self.fault == "one grid":  # every sample is read at the times of the first
            x = torch.cat([batch["values"], batch["times"][:1].expand_as(batch["times"])[..., None]], dim=2)
        if self.fault == "padding flip":
            x = x.flip(1)
        else:
            places = (lengths[:, None] - 1 - torch.arange(x.shape[1])).clamp(min=0)
            x = x.gather(1, places[..., None].expand_as(x))
        states, _ = self.gru(x)
        last = states.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]
        if self.fault == "batch as sequence":  # samples attend to each other
            last = torch.softmax(last @ last.T, dim=1) @ last
        if self.fault == "pooled padding":
            last = states.mean(1)
        if self.fault == "dropout in eval":
            last = functional.dropout(last, 0.3)
        if self.fault != "spare part":
            last = last + self.spare(last)
        if self.fault == "detached":
            last = last.detach()
        static = 0 * batch["static"] if self.fault == "static unused" else batch["static"]
        logit: Tensor = self.head(torch.cat([last, static], dim=1))[:, 0]
        return logit.detach().round() + 0 * self.head.bias if self.fault == "rounded" else logit


def bce(model: nn.Module, batch: Batch) -> Loss:
    total = functional.binary_cross_entropy_with_logits(model(batch), batch["label"])
    return Loss(total, terms={"bce": total.detach()})


def case(*values: Given) -> Case:
    return Case("planted", values)


def reading(fault: str) -> Any:
    """A case of a series reader; `fault` is in it if it is ill."""

    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        data, model = Series(seed), Reader(seed, fault if is_ill else "")
        trial = Trial(
            model=model, batch=data.batch, count=COUNT, loss=bce, predict=lambda net, batch: net(batch)
        )
        return case(trial, Padding(lengthen), Inputs(("values", "times", "static")))

    return make


def lengthen(batch: Batch, more: int) -> Batch:
    pads = {"values": (0, 0, 0, more), "times": (0, more), "mask": (0, more)}
    return {
        name: functional.pad(value, pads[name]) if name in pads else value for name, value in batch.items()
    }


def padded_loss(seed: int, is_ill: bool, folder: Path) -> Case:
    """One output per step; the padding is counted in the loss (battery guide)."""
    data = Series(seed)

    def loss(model: nn.Module, batch: Batch) -> Loss:
        error = (model(batch["values"])[..., 0] - batch["times"]) ** 2
        mask = torch.ones_like(error) if is_ill else batch["mask"].float()
        return Loss((error * mask).sum() / mask.sum(), count=mask.sum())

    def moving(rows: np.ndarray) -> Batch:
        return {name: value for name, value in data.batch(rows).items() if name != "static"}

    with seeded(seed, "model"):
        model = nn.Linear(FEATURES, 1)
    return case(Trial(model=model, batch=moving, count=COUNT, loss=loss), Padding(lengthen))


def masked(kind: str) -> Any:
    def entry_loss(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        known = mask.float()
        if kind == "mask as loss":
            return functional.binary_cross_entropy_with_logits(outputs * known, targets * known)
        if kind == "mask ignored":
            return functional.binary_cross_entropy_with_logits(outputs, targets)
        each = functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
        return (each * known).sum() / known.sum()

    def sound(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
        return each[mask].mean()

    return lambda seed, is_ill, folder: case(MaskedLoss(entry_loss if is_ill else sound))


def member(kind: str) -> Any:
    """A stacker on a frozen member with batch statistics and dropout (chest guide)."""

    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        with seeded(seed, "model"):
            inner = nn.Sequential(
                nn.Linear(2, 4), nn.BatchNorm1d(4) if kind == "norm" else nn.Identity(), nn.Dropout(0.2)
            )
            model = nn.Sequential(inner, nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
        inner.requires_grad_(False)
        model.train()
        if not is_ill:
            inner.eval()
        data = Series(seed)

        def loss(net: nn.Module, batch: Batch) -> Loss:
            return Loss(
                functional.binary_cross_entropy_with_logits(net(batch["static"])[:, 0], batch["label"])
            )

        return case(Trial(model=model, batch=data.plain, count=COUNT, loss=loss))

    return make


def ids(first: int, last: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(first, last))


def splits(train: tuple[str, ...], valid: tuple[str, ...], test: tuple[str, ...]) -> Splits:
    return Splits(train=train, valid=valid, test=test, by="record", fingerprint="0")


PARTS = splits(ids(0, 40), ids(40, 50), ids(50, 64))


def leaked(kind: str) -> Any:
    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        parts, content = PARTS, {name: name for name in ids(0, 64)}
        subjects = {name: f"patient {int(name) // 2}" for name in ids(0, 64)}  # pairs stay together
        if is_ill and kind == "subject":
            parts = splits(ids(0, 41), ids(41, 50), ids(50, 64))
        if is_ill and kind == "valid is test":
            parts = splits(ids(0, 40), ids(50, 64), ids(50, 64))
        if is_ill and kind == "content":
            content = {name: str(int(name) % 52) for name in content}
        return case(
            Splitting(splits=parts, subjects=subjects), Contents(lambda identity: content[identity].encode())
        )

    return make


def recorded(seed: int, is_ill: bool, folder: Path) -> Case:
    """Two scanners with voxels of 1 and 2 mm; the ill system has nearly all patients on one of them."""
    random = np.random.default_rng(seed)
    label = np.arange(80) % 2
    scanner = np.where(random.random(80) < 0.9, label, 1 - label) if is_ill else random.integers(0, 2, 80)
    voxel_mm = 1.0 + scanner + random.normal(0, 0.01, 80)
    return case(Recording(("voxel size", "number of voxels"), np.stack([voxel_mm, 64 + label * 0], 1), label))


def scaled(seed: int, is_ill: bool, folder: Path) -> Case:
    values = np.random.default_rng(seed).normal(size=(64, 2))
    rows = slice(None) if is_ill else slice(0, 40)
    fitted = [str(number) for number in range(64)][rows]
    scaler = Scaler.fit(values[rows], names=["hr", "map"], ids=fitted)
    kept = Normaliser(name="hr", ids=scaler.ids, ids_digest=scaler.ids_digest)
    return case(Splitting(splits=PARTS), kept)


def fitted(name: str, split: str) -> Any:
    return lambda seed, is_ill, folder: case(
        Fitted(name="threshold of death", fitted_on="valid"),
        Fitted(name=name, fitted_on=split if is_ill else "out-of-fold"),
    )


def chosen(select: str) -> Any:
    return lambda seed, is_ill, folder: case(Selection(select if is_ill else "valid/auroc"))


def configured(changed: dict[str, Any]) -> Any:
    parent = {"ep_weight": 0.5, "contrast_weight": 1.0, "epochs": 100, "views": True, "schedule": "cosine"}

    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        own = {**parent, "ep_weight": 0.0, **(changed if is_ill else {})}
        return case(Parent(parent), Configuration(own))

    return make


def same_configuration(seed: int, is_ill: bool, folder: Path) -> Case:
    """A switch that nothing reads: the ablation is its parent."""
    parent = {"ep_weight": 0.5}
    return case(Parent(parent), Configuration(parent if is_ill else {"ep_weight": 0.0}))


def solved(**ill: Any) -> Any:
    sound = Solve(rtol=1e-4, atol=1e-6)
    return lambda seed, is_ill, folder: case(Solve(**ill) if is_ill else sound)


def started(kind: str) -> Any:
    """A network whose last layer is initialised for a hidden one (cell guide), or whose loss is a sum."""

    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        data = Series(seed)
        with seeded(seed, "model"):
            model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 1))
            if is_ill and kind == "kaiming":
                for part in (model[0], model[2]):
                    nn.init.kaiming_normal_(part.weight, mode="fan_out")

        def loss(net: nn.Module, batch: Batch) -> Loss:
            logit = net(batch["static"])[:, 0]
            how = "sum" if is_ill and kind == "sum" else "mean"
            return Loss(functional.binary_cross_entropy_with_logits(logit, batch["label"], reduction=how))

        targets = data.label.double().numpy()[:, None]
        trial = Trial(model=model, batch=data.plain, count=COUNT, loss=loss)
        return case(trial, Prior(loss=implied(targets, "binary")), TrainingLabels(targets))

    return make


def labelled(seed: int, is_ill: bool, folder: Path) -> Case:
    """Blank read as unknown leaves positives only (chest guide, "No Finding")."""
    known = (np.random.default_rng(seed).random((64, 2)) < 0.3).astype(float)
    if is_ill:
        known[known[:, 0] == 0, 0] = np.nan
    return case(TrainingLabels(known))


def treated_twice(seed: int, is_ill: bool, folder: Path) -> Case:
    return case(Configuration({"loss": {"pos_weight": 6.0}, "balanced_sampler": is_ill}))


def sized(kind: str) -> Any:
    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        data = Series(seed)
        if is_ill and kind == "days":
            data.times = 300 * data.times * 20
        if is_ill and kind == "infinite":
            data.values[0, 0, 0] = torch.inf
        if is_ill and kind == "units":
            data.values[: COUNT // 3] /= 1000
        return case(Trial(model=Reader(seed), batch=data.batch, count=COUNT, loss=bce))

    return make


def counted(seed: int, is_ill: bool, folder: Path) -> Case:
    """A validation part with three cases in it."""
    labels = np.zeros((80, 1))
    labels[: 3 if is_ill else 30] = 1
    return case(ScoredLabels(split="valid", targets=np.random.default_rng(seed).permutation(labels)))


def grey(count: int) -> Any:
    """Images in whole numbers, augmented with Poisson noise of counts times 1000 (cell guide)."""

    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        images = torch.randint(0, 200, (count, 1, 12, 12), generator=torch.Generator().manual_seed(seed))

        def augment(batch: Batch, epoch: int) -> Batch:
            scale, random = 100000 if is_ill else 1, torch.Generator().manual_seed(seed)
            noisy = torch.poisson(batch["image"] * scale + 1.0, generator=random) / scale
            return {**batch, "image": noisy.round().to(batch["image"].dtype)}

        def loss(model: nn.Module, batch: Batch) -> Loss:
            grey = batch["image"].float() / 200
            return Loss((model(grey.flatten(1))[:, 0] - grey.mean((1, 2, 3))).square().mean())

        with seeded(seed, "model"):
            model = nn.Linear(144, 1)
        trial = Trial(
            model=model, batch=lambda rows: {"image": images[torch.from_numpy(rows)]}, count=count, loss=loss
        )
        return case(trial, Augmentation(augment))

    return make


def augmented(kind: str) -> Any:
    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        data = Series(seed)
        strength = {"nothing": 1e-4, "everything": 50.0}.get(kind, 0.1) if is_ill else 0.1

        def augment(batch: Batch, epoch: int) -> Batch:
            noise = torch.randn(batch["values"].shape, generator=torch.Generator().manual_seed(seed))
            changed = {**batch, "values": batch["values"] + strength * noise}
            if is_ill and kind == "mask":
                mask = batch["mask"].float()
                changed["mask"] = 0.7 * mask + 0.3 * mask.roll(1, 0)
            return changed

        return case(Trial(model=Reader(seed), batch=data.batch, count=COUNT, loss=bce), Augmentation(augment))

    return make


def aliased(seed: int, is_ill: bool, folder: Path) -> Case:
    model = Reader(seed)
    best = model.state_dict().copy() if is_ill else {n: v.clone() for n, v in model.state_dict().items()}
    return case(Trial(model=model, batch=Series(seed).batch, count=COUNT, loss=bce), Best(best))


def contrast(seed: int, is_ill: bool, folder: Path) -> Case:
    """An ablation that lost its views: the contrastive term is always 0 (ECG guide)."""
    data = Series(seed)

    def loss(model: nn.Module, batch: Batch) -> Loss:
        outputs = model(batch["static"])
        apart = 0 * outputs.sum() if is_ill else (outputs - model(batch["static"] + 0.1)).square().mean()
        error = (outputs[:, 0] - batch["label"]).square().mean()
        return Loss(error + apart, terms={"error": error.detach(), "contrast": apart.detach()})

    with seeded(seed, "model"):
        model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    return case(Trial(model=model, batch=data.plain, count=COUNT, loss=loss))


def finished(folder: Path, name: str) -> Run:
    run = create(folder / name, {"recipe": "planted", "config": {}})
    with run.active():
        run.progress(step=100, total=100)
    return run


def write_test(run: Run, seed: int, positives: int) -> predictions.Predictions:
    random = np.random.default_rng(seed)
    truth = np.zeros(200)
    truth[:positives] = 1
    outcome = predictions.Predictions.build(
        "binary",
        "test",
        ids=np.arange(200),
        targets=truth,
        outputs=np.clip(0.3 * truth + 0.5 * random.random(200), 0, 1),
    )
    predictions.write(outcome, run.predictions / "test.parquet")
    return outcome


def peeked(seed: int, is_ill: bool, folder: Path) -> Case:
    run = finished(folder, "peeked")
    for look in range(5 if is_ill else 1):
        ledger.record(run.ledger_file, write_test(run, seed + look, 60), "evaluate")
    return case(Folder(run))


def scored_on_test(seed: int, is_ill: bool, folder: Path) -> Case:
    run = create(folder / "probe", {"recipe": "planted", "config": {}})
    with run.active():
        run.journal("score", step=10, **{"test/auroc" if is_ill else "valid/auroc": 0.7})
    return case(Folder(run))


def rare(seed: int, is_ill: bool, folder: Path) -> Case:
    run = finished(folder, "rare")
    write_test(run, seed, 3 if is_ill else 40)
    return case(Folder(run))


def guessed(seed: int, is_ill: bool, folder: Path) -> Case:
    """An F1 of 0.80 where all-positive guessing reaches 0.805 (cell guide)."""
    run = finished(folder, "guessed")
    headline = {
        "name": "f1",
        "value": 0.80,
        "low": 0.77,
        "high": 0.83,
        "trivial": 0.805 if is_ill else 0.4,
        "better": "higher",
    }
    sealed.write_json(run.metrics_file, {"headline": headline, "scores": []})
    return case(Folder(run))


def ended(kind: str) -> Any:
    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        run = finished(folder, kind)
        if is_ill and kind == "died":
            write_json(run.status_file, {"state": "running", "step": 40, "total": 100})
        if is_ill and kind == "alarmed":
            with run.active():
                run.journal(
                    "alarm", step=3, guard="spike", level="warn", sentence="The loss jumped.", remedy=None
                )
        return case(Folder(run))

    return make


def predicted(change: str) -> Any:
    """New stays of the same kind of patients; ill: their temperature is in Fahrenheit, or they are children."""

    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        draw = np.random.default_rng(seed)
        units = {"unit": "C", "others": [("F", 5 / 9, -32.0)]} if change == "unit" else {}
        old = profile("Temp", 37 + 0.7 * draw.normal(size=4000), subjects=400, **units)
        values = 37.2 + 0.7 * draw.normal(size=300)
        new = profile("Temp", values * 9 / 5 + 32 if is_ill else values, subjects=30, **units)
        return case(Populations(trained=[old], new=[new]))

    return make


def law(name: str, guide: str, causes: str, make: Any) -> Law:
    return Law(name=name, guide=guide, causes=tuple(causes.split()), make=make)


LAWS: tuple[Law, ...] = (
    law("padding flip", "icu", "batch_invariance padding", reading("padding flip")),
    law("times of irregular samples unused", "icu", "used_inputs", reading("times unused")),
    law("static features unused", "icu", "used_inputs", reading("static unused")),
    law("one time grid for the whole batch", "battery", "batch_invariance", reading("one grid")),
    law("2-D batch taken for one sequence", "battery", "batch_invariance", reading("batch as sequence")),
    law("padding pooled over", "", "batch_invariance padding", reading("pooled padding")),
    law("padding counted in the loss", "battery", "padding batch_invariance", padded_loss),
    law("dropout at work in eval mode", "", "repeatable", reading("dropout in eval")),
    law("part that is never called", "", "reach", reading("spare part")),
    law("encoder cut off by a detach", "", "reach", reading("detached")),
    law("loss of rounded outputs", "", "reach learnable", reading("rounded")),
    law("mask as loss", "chest", "masking", masked("mask as loss")),
    law("mask ignored", "chest", "masking", masked("mask ignored")),
    law("frozen member drifts", "chest", "frozen", member("norm")),
    law("frozen member with dropout", "chest", "frozen", member("dropout")),
    law("patient in two splits", "icu chest", "leakage", leaked("subject")),
    law("validation is the test set", "battery chest", "leakage", leaked("valid is test")),
    law("targets of another cell (copies)", "battery", "duplicates", leaked("content")),
    law("normaliser on all data", "icu battery", "normaliser", scaled),
    law("threshold fitted on test", "chest cell", "provenance", fitted("threshold of effusion", "test")),
    law("temperature of unknown origin", "chest", "provenance", fitted("temperature", "")),
    law("stacker on in-sample outputs", "chest", "provenance", fitted("stacker", "train")),
    law("early stop on the test set", "ecg", "selection test_peek", chosen("test/loss")),
    law("probe scored on test while training", "ecg", "test_peek", scored_on_test),
    law("selection by F1 at 0.5", "cell", "selection", chosen("valid/f1")),
    law("new data in another unit", "icu", "drift", predicted("unit")),
    law("new data of another kind", "", "drift", predicted("population")),
    law("dozens of decisions on the test set", "cell", "test_peek", peeked),
    law("ablation without views", "ecg", "ablation", configured({"views": False, "epochs": 50})),
    law("baseline with a schedule of its own", "ecg", "ablation", configured({"schedule": "constant"})),
    law("switch that nothing reads", "battery", "ablation", same_configuration),
    law("contrastive term identically zero", "ecg", "zero_terms", contrast),
    law("rtol at machine precision", "icu", "tolerance", solved(rtol=1e-7, atol=1e-9, span=48.0)),
    law("solver in half precision", "icu battery", "tolerance", solved(rtol=1e-3, dtype="bfloat16")),
    law("fixed step over all 48 hours", "icu", "tolerance", solved(adaptive=False, span=48.0)),
    law(
        "tolerances of a fixed-step method",
        "battery",
        "tolerance",
        solved(adaptive=False, step_size=0.1, rtol=1e-4),
    ),
    law("last layer initialised by Kaiming", "cell", "start_loss", started("kaiming")),
    law("loss that is a sum", "", "start_loss batch_invariance", started("sum")),
    law("blank labels read as unknown", "chest", "one_class", labelled),
    law("voxel size that goes with the disease", "cell", "confounder", recorded),
    law("sampler and positive weight", "chest cell", "imbalance", treated_twice),
    law("raw days into tanh", "battery", "input_size", sized("days")),
    law("infinite value in the inputs", "cell", "input_size", sized("infinite")),
    law("units guessed per cell", "battery", "mixed_units", sized("units")),
    law("augmentation that does nothing", "cell", "augmentation", augmented("nothing")),
    law("augmentation that destroys", "", "augmentation", augmented("everything")),
    law("mixup of the mask", "cell", "augmentation", augmented("mask")),
    law("Poisson noise off by a thousand on grey values", "cell", "augmentation", grey(16)),
    law("the same on a data set of one image", "cell", "augmentation", grey(1)),
    law("validation with 3 positives", "chest", "cases", counted),
    law("best state aliases live weights", "ecg", "best_alias", aliased),
    law("classes with 3 positives", "chest", "support", rare),
    law("F1 below all-positive guessing", "cell", "trivial", guessed),
    law("process killed by a session limit", "icu", "ending", ended("died")),
    law("alarm that nobody read", "", "alarms", ended("alarmed")),
)
