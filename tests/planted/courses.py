"""Faults that show in the course of a run: one line in COURSES each. `fit` itself trains them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.data.batches import Batches
from homeostat.engine.optim import OptimConfig
from homeostat.engine.saver import SaveConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.ode import odeint
from homeostat.task.randomness import seeded
from homeostat.task.task import Loss, Task
from planted.fault import Course, Session

COUNT, SIZE = 240, 16
PER_EPOCH = COUNT // SIZE
Batch = dict[str, Tensor]
LossOf = Callable[[nn.Module, Batch], Loss]


class Points:
    """Points in eight dimensions, a class that a bent border tells, and a number that a wave tells."""

    def __init__(self, seed: int, count: int = COUNT, noise: float = 0.3) -> None:
        random = torch.Generator().manual_seed(1000 + seed)
        self.x = torch.randn(count, 8, generator=random)
        score = self.x[:, 0] + self.x[:, 1] * self.x[:, 2] + noise * torch.randn(count, generator=random)
        self.label = (score > 1.2).float()  # about one in five
        self.y = torch.sin(self.x[:, :3].sum(1)) + noise * torch.randn(count, generator=random)

    def batch(self, rows: np.ndarray) -> Batch:
        chosen = torch.from_numpy(np.asarray(rows))
        return {"ids": chosen, "x": self.x[chosen], "label": self.label[chosen], "y": self.y[chosen]}


def network(seed: int, out: int = 1, width: int = 32) -> nn.Sequential:
    with seeded(seed, "model"):
        return nn.Sequential(
            nn.Linear(8, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, out)
        )


def settings(epochs: int = 12, rate: float = 5e-3, clip: float = 0.0, schedule: Any = "cosine") -> Settings:
    return Settings(
        epochs=epochs,
        device="cpu",
        optim=OptimConfig(learning_rate=rate, clip=clip),
        schedule=ScheduleConfig(schedule=schedule),
        saving=SaveConfig(save_every_s=3600),
        journal_every=1000,
    )


def classify(model: nn.Module, batch: Batch) -> Loss:
    total = functional.binary_cross_entropy_with_logits(model(batch["x"])[:, 0], batch["label"])
    return Loss(total, terms={"bce": total.detach()})


def regress(model: nn.Module, batch: Batch) -> Loss:
    total = (model(batch["x"])[:, 0] - batch["y"]).square().mean()
    return Loss(total, terms={"mse": total.detach()})


def judge(points: Points) -> Callable[[nn.Module], Mapping[str, float]]:
    def score(model: nn.Module) -> Mapping[str, float]:
        logit = model(points.x)[:, 0]
        yes, truth = logit > 0, points.label > 0
        hits = float((yes & truth).sum())
        ranks = (logit[truth][:, None] > logit[~truth]).float() + 0.5 * (
            logit[truth][:, None] == logit[~truth]
        )
        return {
            "valid/auroc": float(ranks.mean()),
            "valid/recall": hits / float(truth.sum()),
            "valid/precision": hits / max(float(yes.sum()), 1.0),
            "valid/prevalence": float(truth.float().mean()),
        }

    return score


def fits(points: Points) -> Callable[[nn.Module], Mapping[str, float]]:
    return lambda model: {"valid/mse": float((model(points.x)[:, 0] - points.y).square().mean())}


def session(
    seed: int,
    loss: LossOf = classify,
    model: nn.Module | None = None,
    points: Points | None = None,
    score: Any = None,
    onset: int = 0,
    how: Settings | None = None,
    **batches: Any,
) -> Session:
    learnt = points or Points(seed)
    judged = Points(seed + 500)
    is_class = score is None
    task = Task(
        model=network(seed) if model is None else model,
        batches=Batches(count=len(learnt.x), size=SIZE, gather=learnt.batch, seed=seed, **batches),
        loss=loss,
        score=score or judge(judged),
        select="valid/auroc" if is_class else "valid/mse",
        direction="max" if is_class else "min",
    )
    return Session(task=task, settings=how or settings(), onset=onset)


class Counter:
    """Counts training steps, so that a fault can set in during a run."""

    def __init__(self, onset: int) -> None:
        self.onset, self.step = onset, 0

    def is_ill(self, model: nn.Module) -> bool:
        self.step += torch.is_grad_enabled()
        return self.step > self.onset


def large_rate(seed: int, is_ill: bool) -> Session:
    """The learning rate is a thousand times too large."""
    return session(seed, regress, score=fits(Points(seed + 500)), how=settings(rate=3.0 if is_ill else 5e-3))


def high_rate(seed: int, is_ill: bool) -> Session:
    """The learning rate is sixty times too large."""
    return session(seed, regress, score=fits(Points(seed + 500)), how=settings(rate=0.3 if is_ill else 5e-3))


def late_jump(seed: int, is_ill: bool) -> Session:
    """Weights are thrown far away in the middle of the run, as by one update with a broken moment."""
    model, counter = network(seed), Counter(90)

    def loss(net: nn.Module, batch: Batch) -> Loss:
        if counter.is_ill(net) and counter.step == counter.onset + 1 and is_ill:
            with torch.no_grad():
                for value in net.parameters():
                    value.mul_(30)
        return regress(net, batch)

    return session(seed, loss, model, score=fits(Points(seed + 500)), onset=90)


def poisoned(value: float, *others: int) -> Any:
    """A few rows hold values from another world."""

    def make(seed: int, is_ill: bool) -> Session:
        points = Points(seed)
        if is_ill:
            points.y[[7, *others]] = value
        return session(seed, regress, points=points, score=fits(Points(seed + 500)))

    return make


def masked_product(seed: int, is_ill: bool) -> Session:
    """NT-Xent with a mask of minus infinity times zero (ECG guide)."""
    model = network(seed, out=8)

    def loss(net: nn.Module, batch: Batch) -> Loss:
        one, other = (functional.normalize(net(batch["x"] + 0.05 * k), dim=1) for k in (0, 1))
        views = torch.cat([one, other])
        likeness = views @ views.T / 0.2
        itself = torch.eye(len(views))
        likeness = likeness - itself * 1e9 if not is_ill else likeness + torch.log(1 - itself)
        logs = torch.log_softmax(likeness, dim=1)
        partner = torch.arange(len(views)).roll(len(one))
        if is_ill:
            contrast = -(logs * functional.one_hot(partner, len(views))).sum(1).mean()
        else:
            contrast = -logs.gather(1, partner[:, None]).mean()
        return Loss(contrast, terms={"contrast": contrast.detach()})

    judged = Points(seed + 500)

    def score(net: nn.Module) -> Mapping[str, float]:
        return {"valid/mse": float((net(judged.x) - net(judged.x + 0.05)).square().mean())}

    return session(seed, loss, model, score=score)


def empty_mean(seed: int, is_ill: bool) -> Session:
    """The mean over no entries: differences along time of predictions that have one step (battery guide)."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        outputs = model(batch["x"])
        smooth = outputs.diff(dim=1 if is_ill else 0).square().mean()
        error = (outputs[:, 0] - batch["y"]).square().mean()
        return Loss(error + 0.01 * smooth, terms={"mse": error.detach(), "smooth": smooth.detach()})

    return session(seed, loss, score=fits(Points(seed + 500)))


def no_views(seed: int, is_ill: bool) -> Session:
    """Views are not made, so the contrastive term is zero (ECG guide)."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        outputs = model(batch["x"])[:, 0]
        view = outputs if is_ill else model(batch["x"] + 0.1)[:, 0]
        contrast = (outputs - view).square().mean()
        error = (outputs - batch["y"]).square().mean()
        return Loss(error + contrast, terms={"mse": error.detach(), "contrast": contrast.detach()})

    return session(seed, loss, score=fits(Points(seed + 500)))


def weighted(factor: float) -> Any:
    """A positive weight so large (small) that one answer for all is cheapest."""

    def make(seed: int, is_ill: bool) -> Session:
        weight = torch.tensor(factor if is_ill else 1.0)

        def loss(model: nn.Module, batch: Batch) -> Loss:
            logit = model(batch["x"])[:, 0]
            total = functional.binary_cross_entropy_with_logits(logit, batch["label"], pos_weight=weight)
            return Loss(total, terms={"bce": total.detach()})

        return session(seed, loss)

    return make


def dead_units(seed: int, is_ill: bool) -> Session:
    """All hidden units are dead: the output is the same for everybody."""
    with seeded(seed, "model"):
        model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    if is_ill:
        with torch.no_grad():
            model[0].bias.fill_(-100.0)
    return session(seed, model=model)


def foreign_optimizer(seed: int, is_ill: bool) -> Session:
    """The optimiser holds the parameters of a copy."""
    model = network(seed)
    twin = copy.deepcopy(model)

    def loss(net: nn.Module, batch: Batch) -> Loss:
        return classify(twin if is_ill else net, batch)

    return session(seed, loss, model)


def training_score(seed: int, is_ill: bool) -> Session:
    """The evaluation makes batch statistics move (train mode) on validation data."""
    with seeded(seed, "model"):
        model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 1))
    judged = Points(seed + 500)
    plain = judge(judged)

    def score(net: nn.Module) -> Mapping[str, float]:
        return plain(net.train()) if is_ill else plain(net)

    sound = session(seed, model=model, drop_last=True)
    return Session(task=Task(**{**vars(sound.task), "score": score}), settings=sound.settings)


def cut_encoder(seed: int, is_ill: bool) -> Session:
    """The encoder is cut off from the loss and never moves."""
    with seeded(seed, "model"):
        model = nn.ModuleDict({"encoder": nn.Linear(8, 32), "head": nn.Linear(32, 1)})

    def ask(net: Any, x: Tensor) -> Tensor:
        hidden = torch.tanh(net["encoder"](x))
        return net["head"](hidden.detach() if is_ill else hidden)

    def loss(net: Any, batch: Batch) -> Loss:
        total = (ask(net, batch["x"])[:, 0] - batch["y"]).square().mean()
        return Loss(total, terms={"mse": total.detach()})

    judged = Points(seed + 500)

    def score(net: nn.Module) -> Mapping[str, float]:
        return {"valid/mse": float((ask(net, judged.x)[:, 0] - judged.y).square().mean())}

    sound = session(seed, loss, model, score=score, how=settings(rate=5e-3))
    if is_ill:  # AdamW's decay would still shrink it; the guides used none
        how = settings()
        object.__setattr__(how, "optim", OptimConfig(learning_rate=5e-3, weight_decay=0.0))
        return Session(task=sound.task, settings=how)
    return sound


def noise_labels(seed: int, is_ill: bool) -> Session:
    """Labels that belong to other samples, and a model too small to learn them by heart."""
    points = Points(seed, count=960)
    if is_ill:
        order = torch.randperm(960, generator=torch.Generator().manual_seed(seed))
        points.y = points.y[order]
    with seeded(seed, "model"):
        model = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1))
        nn.init.zeros_(model[2].weight)
    return session(seed, regress, model, points, fits(Points(seed + 500)), how=settings(epochs=8, rate=3e-3))


def masked_floor(seed: int, is_ill: bool) -> Session:
    """Masked entries count as outputs of 0: a floor of ln 2 times their share (chest guide)."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        known = (batch["ids"] % 100 == 0).float() if is_ill else torch.ones(len(batch["ids"]))
        logit = model(batch["x"])[:, 0]
        total = functional.binary_cross_entropy_with_logits(logit * known, batch["label"] * known)
        return Loss(total, terms={"bce": total.detach()})

    return session(seed, loss)


def by_heart(seed: int, is_ill: bool) -> Session:
    """A wide network, few samples, noisy labels, no regularisation, far too long."""
    points = Points(seed, count=48 if is_ill else 960, noise=1.0)
    how = settings(
        epochs=60 if is_ill else 10,
        rate=1e-2 if is_ill else 5e-3,
        schedule="constant" if is_ill else "cosine",
    )
    return session(
        seed, regress, network(seed, width=64), points, fits(Points(seed + 500, noise=1.0)), how=how
    )


def too_short(seed: int, is_ill: bool) -> Session:
    """A meta-learner of five epochs at a hundredth of its rate (chest guide)."""
    how = settings(epochs=5, rate=1e-4, schedule="constant") if is_ill else settings(epochs=20)
    return session(seed, how=how)


class Field(nn.Module):
    """A linear field around a target, whose stiffness a factor multiplies."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.net = network(seed, out=8)
        self.factor, self.is_half = 1.0, False

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        slope: Tensor = self.factor * (torch.tanh(self.net(z)) - z)
        return slope.to(torch.bfloat16).float() if self.is_half else slope


class Flow(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.field = Field(seed)
        self.numbers: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        solved = odeint(self.field, x, torch.tensor([0.0, 1.0]), rtol=1e-4, atol=1e-5, max_steps=2000)
        stats = solved.stats
        self.numbers = {
            "ode_evaluations": stats.evaluations.float().mean(),
            "ode_rejected": stats.rejected.float().mean(),
            "ode_solver_steps": (stats.accepted + stats.rejected).float().mean(),
        }
        return solved.ys[:, -1]


def stiff(kind: str) -> Any:
    def make(seed: int, is_ill: bool) -> Session:
        model, counter = Flow(seed), Counter(45)

        def loss(net: nn.Module, batch: Batch) -> Loss:
            assert isinstance(net, Flow)
            if counter.is_ill(net) and is_ill:
                net.field.factor = 60.0 if kind == "stiff" else 1.0
                net.field.is_half = kind == "half"
            error = (net(batch["x"])[:, 0] - batch["y"]).square().mean()
            return Loss(error, terms={"mse": error.detach()}, numbers=dict(net.numbers))

        return session(
            seed,
            loss,
            model,
            score=fits(Points(seed + 500, count=32)),
            onset=45,
            how=settings(epochs=6, rate=3e-3),
        )

    return make


def small_decoder(seed: int, is_ill: bool) -> Session:
    """Outputs stay near zero although targets are standardised (ECG guide, loss stuck at 1.0)."""
    factor = 1e-3 if is_ill else 1.0

    def loss(model: nn.Module, batch: Batch) -> Loss:
        error = (factor * model(batch["x"])[:, 0] - batch["y"]).square().mean()
        return Loss(error, terms={"mse": error.detach()})

    return session(seed, loss, score=fits(Points(seed + 500)), how=settings(rate=2e-3))


def half_volume(seed: int, is_ill: bool) -> Session:
    """A tiny Conv3d on photon counts in fp16 with a loss scaler: it overflows, and steps are skipped (cell guide)."""
    with seeded(seed, "model"):
        model = nn.Sequential(nn.Conv3d(1, 2, 2), nn.Flatten(), nn.Linear(2, 1))

    def loss(net: Any, batch: Batch) -> Loss:
        counts = 60 * batch["x"].reshape(-1, 1, 2, 2, 2).abs()
        inside = counts.half() * torch.tensor(60.0 if is_ill else 0.01).half()
        folded = net[0](inside.float()).half().float() if not is_ill else (inside * inside).float()
        overflows = not bool(folded.isfinite().all())
        error = (net(0.01 * counts)[:, 0] - brightness(batch["x"])).square().mean()
        return Loss(0 * error if overflows else error, terms={"mse": error.detach()})

    judged = Points(seed + 500)

    def score(net: nn.Module) -> Mapping[str, float]:
        outputs = net(0.6 * judged.x.reshape(-1, 1, 2, 2, 2).abs())[:, 0]
        return {"valid/mse": float((outputs - brightness(judged.x)).square().mean())}

    return session(seed, loss, model, score=score)


def brightness(x: Tensor) -> Tensor:
    return 5 * (x.abs().mean(1) - 0.8)


def exploding(seed: int, is_ill: bool) -> Session:
    """Gradients through a long product of matrices explode when their norm passes 1."""
    with seeded(seed, "model"):
        model = nn.ModuleDict({"step": nn.Linear(8, 8), "head": nn.Linear(8, 1)})
    counter = Counter(60)

    def ask(net: Any, z: Tensor, strength: float) -> Tensor:
        for _ in range(20):
            z = torch.tanh(z + 0.1 * net["step"](z)) if strength == 1 else strength * net["step"](z)
        outputs: Tensor = net["head"](z)[:, 0]
        return outputs

    def loss(net: Any, batch: Batch) -> Loss:
        strength = 3.0 if counter.is_ill(net) and is_ill else 1.0
        total = functional.smooth_l1_loss(ask(net, batch["x"], strength), batch["x"][:, 0])
        return Loss(total, terms={"l1": total.detach()})

    judged = Points(seed + 500)

    def score(net: Any) -> Mapping[str, float]:
        return {"valid/mse": float((ask(net, judged.x, 1.0) - judged.x[:, 0]).square().mean())}

    return session(seed, loss, model, score=score, onset=60, how=settings(rate=3e-3))


def saturated(seed: int, is_ill: bool) -> Session:
    """Raw days in the thousands into a deep tanh: no gradient comes through."""
    points = Points(seed)
    if is_ill:
        points.x = 1e6 * points.x.abs() + 1e6
    with seeded(seed, "model"):
        layers = [part for _ in range(4) for part in (nn.Linear(8, 8), nn.Sigmoid() if is_ill else nn.Tanh())]
        model = nn.Sequential(*layers, nn.Linear(8, 1))
        if is_ill:
            for part in model[:-1]:
                if isinstance(part, nn.Linear):
                    part.weight.data.abs_().mul_(60)
    return session(seed, regress, model, points, fits(Points(seed + 500)), how=settings(rate=5e-3))


def summed(seed: int, is_ill: bool) -> Session:
    """A loss that is a sum over a thousand entries, under a clip of 1."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        plain = regress(model, batch)
        return Loss(plain.total * (1000 if is_ill else 1), terms=plain.terms)

    return session(seed, loss, score=fits(Points(seed + 500)), how=settings(epochs=16, clip=1.0))


def no_gain(seed: int, is_ill: bool) -> Session:
    """The score is never better than in its first evaluations, and the run goes on (cell guide)."""
    judged, seen = judge(Points(seed + 500)), {"best": 0.0, "n": 0}

    def score(net: nn.Module) -> Mapping[str, float]:
        scores = dict(judged(net))
        seen["n"] += 1
        if seen["n"] <= 4:
            seen["best"] = max(seen["best"], scores["valid/auroc"])
        elif is_ill:
            scores["valid/auroc"] = min(scores["valid/auroc"], seen["best"] - 1e-3)
        return scores

    sound = session(seed, how=settings(epochs=40 if is_ill else 20, rate=1e-3))
    return Session(task=Task(**{**vars(sound.task), "score": score}), settings=sound.settings)


def course(name: str, guide: str, causes: str, make: Any, heals: bool = False) -> Course:
    return Course(name=name, guide=guide, causes=tuple(causes.split()), make=make, heals=heals)


COURSES: tuple[Course, ...] = (
    course(
        "learning rate a thousand times too large", "cell", "spike gradient finite plateau", large_rate, True
    ),
    course("learning rate sixty times too large", "cell", "spike gradient plateau", high_rate, True),
    course("weights thrown away in mid-run", "", "spike gradient", late_jump, True),
    course("one poisoned target", "", "spike gradient", poisoned(3e4), True),
    course("three infinite targets", "", "finite", poisoned(float("inf"), 80, 161), True),
    course("two poisoned targets of one batch", "", "spike gradient plateau", poisoned(2e3, 8), True),
    course("one target that is no number", "chest battery", "finite", poisoned(float("nan")), True),
    course("minus infinity times zero", "ecg", "finite", masked_product),
    course("mean over nothing", "battery", "finite", empty_mean),
    course("contrast without views", "ecg", "zero_term", no_views),
    course("everybody called positive", "cell", "collapse", weighted(3000.0)),
    course("everybody called negative", "", "collapse", weighted(1e-4)),
    course("all units dead", "", "collapse gradient unchanged plateau", dead_units),
    course("optimiser of another model", "", "unchanged gradient", foreign_optimizer),
    course("evaluation that trains", "chest", "unchanged", training_score),
    course("encoder that never moves", "chest", "unchanged", cut_encoder),
    course("labels of other samples", "battery", "plateau overfit", noise_labels),
    course("loss of masked entries", "chest", "plateau collapse", masked_floor),
    course("learnt by heart", "icu ecg", "overfit", by_heart),
    course("second level of five epochs", "chest", "undertrained", too_short, True),
    course("field becomes stiff", "battery", "stiffness", stiff("stiff")),
    course("half precision in the solver", "icu", "stiffness", stiff("half")),
    course("output a thousand times too small", "ecg", "plateau", small_decoder),
    course("fp16 Conv3d that overflows", "cell", "gradient unchanged", half_volume),
    course("exploding recurrence", "cell", "gradient spike finite", exploding),
    course("saturated by raw units", "battery", "gradient plateau unchanged", saturated),
    course("no gain for twenty evaluations", "cell", "plateau overfit", no_gain),
    course("sum under a clip of one", "", "clipped", summed),
)
