"""Faults in the real recipes: their own networks, losses, data and splits, made ill."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.audits.augmentation import Augmentation
from homeostat.audits.best_alias import Best
from homeostat.audits.case import Case, Given
from homeostat.audits.given import Configuration, Splitting, Trial
from homeostat.audits.leakage import Contents
from homeostat.audits.masking import MaskedLoss
from homeostat.audits.normaliser import Normaliser
from homeostat.audits.provenance import Fitted
from homeostat.audits.selection import Selection
from homeostat.audits.support import TrainingLabels
from homeostat.audits.tolerance import Solve
from homeostat.data.scaling import digest_ids
from homeostat.data.store import Store
from homeostat.engine.optim import OptimConfig
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.recipes import find
from homeostat.recipes.battery import learn
from homeostat.recipes.battery.case import entry_loss
from homeostat.recipes.battery.recipe import plan as battery_plan
from homeostat.recipes.battery.scaled import LATENT_ODE
from homeostat.recipes.cell import learn as cells
from homeostat.recipes.cell.cohort import Volumes, protocol_of
from homeostat.recipes.icu import recipe as icu
from homeostat.recipes.icu import training
from homeostat.run import Run, create
from homeostat.task.task import Loss, Task
from planted.fault import Course, Law, Session

Change = Callable[[Case], Given]
Batch = Any


@lru_cache(maxsize=6)
def prepared(name: str, seed: int) -> tuple[Any, Store]:
    """The small configuration of a recipe, and the store of a cohort simulated from this seed."""
    recipe, folder = find(name), Path(tempfile.mkdtemp(prefix="homeostat-planted-"))
    (folder / "data").mkdir()
    recipe.simulate(folder / "data", seed)
    config = recipe.preset("smoke")
    return config, recipe.prepare(config, folder / "data", folder / "stores")


def planted(name: str, change: Change) -> Callable[[int, bool, Path], Case]:
    """The recipe's own case; if it is ill, with one value changed."""

    def make(seed: int, is_ill: bool, folder: Path) -> Case:
        config, store = prepared(name, seed)
        recipe = find(name)
        assert recipe.case is not None
        folder.mkdir(parents=True, exist_ok=True)
        run = create(Path(tempfile.mkdtemp(dir=folder)) / "run", {"recipe": name})
        case = recipe.case(config, run, store)
        return case.but(change(case)) if is_ill else case

    return make


def asked_of(changed: Callable[[Batch], Batch]) -> Change:
    """The model is shown other batches than it should be."""

    def change(case: Case) -> Trial:
        trial = case.one(Trial)
        predict = trial.predict
        assert predict is not None
        return replace(
            trial,
            loss=lambda model, batch: trial.loss(model, changed(batch)),
            predict=lambda model, batch: predict(model, changed(batch)),
        )

    return change


def place_in_padding(batch: Batch) -> Batch:
    """Time is counted from the end of the padded sequence, as after a flip of the whole tensor."""
    shift = batch.real.shape[1] - batch.real.sum(1)
    return replace(batch, time=(batch.time + 0.02 * shift[batch.owner]).clamp(max=1.0))


def one_time(batch: Batch) -> Batch:
    return replace(batch, time=torch.full_like(batch.time, 0.5))


def without_static(batch: Batch) -> Batch:
    return replace(batch, static=torch.zeros_like(batch.static))


def first_step_alone(batch: Batch) -> Batch:
    return replace(batch, x=batch.x[:, :1].expand_as(batch.x))


def filler_counts(batch: Batch) -> Batch:
    return replace(batch, scored=torch.ones_like(batch.scored))


def grid_of_the_first(batch: Batch) -> Batch:
    return replace(batch, t=batch.t[:1].expand_as(batch.t))


def moved(split: str, whom: str) -> Change:
    """Somebody of one part is in another part as well."""

    def change(case: Case) -> Splitting:
        splitting = case.one(Splitting)
        splits = splitting.splits
        grown = {split: (*splits.part(split), splits.part(whom)[0])}
        return replace(splitting, splits=replace(splits, **grown))

    return change


def fitted_on_all(case: Case) -> Normaliser:
    splits = case.one(Splitting).splits
    ids = (*splits.train, *splits.valid, *splits.test)
    return Normaliser(name="all", ids=len(ids), ids_digest=digest_ids(ids))


def same_content(case: Case) -> Contents:
    """One subject of a later part holds what a training subject holds."""
    splits, contents = case.one(Splitting).splits, case.one(Contents)
    first, later = splits.train[0], (splits.valid or splits.test)[0]
    return Contents(lambda name: contents.of(first if name == later else name))


def aliased(case: Case) -> Best:
    return Best(dict(case.one(Trial).model.state_dict()))


def also_fitted(name: str, on: str) -> Change:
    return lambda case: Fitted(name=name, fitted_on=on)


def also_configured(**changed: Any) -> Change:
    return lambda case: Configuration({**case.one(Configuration).plain, **changed})


def masked_by_product(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """The recipe's loss of outputs and targets times the mask, over all entries."""
    return entry_loss(outputs * mask, targets * mask, torch.ones_like(mask))


def raw_days(case: Case) -> Trial:
    trial = case.one(Trial)
    model: Any = trial.model
    model.x_scale.fill_(1e-4)
    return trial


def guessed_units(case: Case) -> Trial:
    trial = case.one(Trial)

    def mixed(rows: np.ndarray) -> Batch:
        batch = trial.batch(rows)
        third = torch.from_numpy(np.asarray(rows) < trial.count // 3)
        return replace(batch, x=torch.where(third[:, None, None], batch.x / 5000, batch.x))

    return replace(trial, batch=mixed)


def far_start(case: Case) -> Trial:
    """Logits of a spread of about eight before the first step."""
    trial = case.one(Trial)
    model: Any = trial.model
    with torch.no_grad():
        model.last.bias.fill_(5.0)
    return trial


def no_noise(case: Case) -> Augmentation:
    """Poisson noise on counts times a thousand, and nothing else."""

    def augment(batch: Batch, epoch: int) -> Batch:
        random = torch.Generator().manual_seed(epoch)
        many = 1000.0 * 1000.0
        return replace(batch, volume=torch.poisson(batch.volume * many, generator=random) / many)

    return Augmentation(augment)


def blank_is_unknown(case: Case) -> TrainingLabels:
    targets = case.one(TrainingLabels).targets
    return TrainingLabels(np.where(targets == 0, np.nan, targets))


def law(name: str, guide: str, causes: str, make: Any) -> Law:
    return Law(name=name, guide=guide, causes=tuple(causes.split()), make=make)


RECIPE_LAWS: tuple[Law, ...] = (
    law(
        "icu: places counted in padding",
        "icu",
        "batch_invariance padding",
        planted("icu", asked_of(place_in_padding)),
    ),
    law("icu: times thrown away", "icu", "used_inputs", planted("icu", asked_of(one_time))),
    law("icu: descriptors not shown", "icu", "used_inputs", planted("icu", asked_of(without_static))),
    law("icu: patient in train and valid", "icu", "leakage", planted("icu", moved("train", "valid"))),
    law("icu: medians of all stays", "icu", "normaliser", planted("icu", fitted_on_all)),
    law("icu: stay under two numbers", "icu", "duplicates", planted("icu", same_content)),
    law(
        "icu: torchdiffeq's tolerances over 48 raw hours",
        "icu",
        "tolerance",
        planted("icu", lambda case: Solve(rtol=1e-7, atol=1e-9, span=48.0)),
    ),
    law(
        "icu: threshold fitted on test",
        "chest",
        "provenance",
        planted("icu", also_fitted("threshold", "test")),
    ),
    law("icu: shallow copy of the best state", "ecg", "best_alias", planted("icu", aliased)),
    law("icu: survivors read as unknown", "chest", "one_class", planted("icu", blank_is_unknown)),
    law(
        "battery: filler counted in the loss",
        "battery",
        "padding batch_invariance",
        planted("battery", asked_of(filler_counts)),
    ),
    law(
        "battery: the first step alone is read",
        "battery",
        "used_inputs",
        planted("battery", asked_of(first_step_alone)),
    ),
    law(
        "battery: one time grid for the batch",
        "battery",
        "batch_invariance",
        planted("battery", asked_of(grid_of_the_first)),
    ),
    law(
        "battery: mask as factor of the outputs",
        "chest",
        "masking",
        planted("battery", lambda case: MaskedLoss(masked_by_product)),
    ),
    law("battery: cell in train and test", "battery", "leakage", planted("battery", moved("train", "test"))),
    law("battery: scaler on all cells", "battery", "normaliser", planted("battery", fitted_on_all)),
    law(
        "battery: targets and data of another cell", "battery", "duplicates", planted("battery", same_content)
    ),
    law("battery: raw units into tanh", "battery", "input_size", planted("battery", raw_days)),
    law("battery: units guessed per cell", "battery", "mixed_units", planted("battery", guessed_units)),
    law(
        "battery: rtol at the resolution of fp32",
        "icu",
        "tolerance",
        planted("battery", lambda case: Solve(rtol=1e-7, atol=1e-9)),
    ),
    law(
        "battery: chosen on the cells that are reported",
        "battery",
        "selection",
        planted("battery", lambda case: Selection("test/rmse")),
    ),
    law("cell: donor in train and test", "cell", "leakage", planted("cell", moved("train", "test"))),
    law("cell: start far from the prior", "cell", "start_loss", planted("cell", far_start)),
    law("cell: Poisson noise off by a thousand", "cell", "augmentation", planted("cell", no_noise)),
    law(
        "cell: filter fitted on all donors",
        "cell",
        "provenance",
        planted("cell", also_fitted("entropy filter", "all donors")),
    ),
    law(
        "cell: chosen by F1 at one half",
        "cell",
        "selection",
        planted("cell", lambda case: Selection("valid/f1")),
    ),
    law(
        "cell: sampler and positive weight",
        "cell",
        "imbalance",
        planted("cell", also_configured(balance=True, pos_weight=6.0)),
    ),
    law("cell: shallow copy of the best state", "ecg", "best_alias", planted("cell", aliased)),
)


def short(epochs: int, rate: float, clip: float = 1.0) -> Settings:
    return Settings(
        epochs=epochs,
        device="cpu",
        optim=OptimConfig(learning_rate=rate, clip=clip),
        schedule=ScheduleConfig(schedule="one-cycle", warmup=0.2),
        journal_every=1000,
        audits=False,
    )


def icu_task(seed: int) -> Task[Any]:
    config, store = prepared("icu", seed % 4)
    config = replace(config, fit=replace(config.fit, seed=seed))
    run = create(Path(tempfile.mkdtemp(prefix="homeostat-planted-")) / "run", {"recipe": "icu"})
    lesson = icu.plan(config, run, store).children[0].lesson
    return training.task_of("latent-ode", config, replace(lesson, seed=seed))


def battery_task(seed: int, solver: str = "rk4") -> Task[Any]:
    config, store = prepared("battery", seed % 4)
    adaptive = {"solver": solver, "rtol": 2e-6, "atol": 1e-8} if solver != "rk4" else {}
    config = replace(config, batch_size=8, windows_per_epoch=64, model=replace(config.model, **adaptive))
    first, *_ = battery_plan(config, Run(Path("none")), store).children
    return learn.make_task(config, LATENT_ODE, replace(first.lesson, seed=seed))


def cell_task(seed: int) -> Task[Any]:
    config, store = prepared("cell", seed % 4)
    config = replace(config, batch_size=16)
    volumes = Volumes(store)
    splits = next(iter(protocol_of(config, volumes).splits.values()))
    return cells.make_task(config, volumes.of(splits), seed)


def course(
    make: Callable[[int], Task[Any]],
    sound: Settings,
    ill: Settings | None = None,
    change: Callable[[Task[Any]], Task[Any]] = lambda task: task,
    onset: int = 0,
) -> Callable[[int, bool], Session]:
    """A recipe's own task; if it is ill, under other settings or changed."""

    def session(seed: int, is_ill: bool) -> Session:
        task = make(seed)
        if not is_ill:
            return Session(task=task, settings=sound)
        return Session(task=change(task), settings=ill or sound, onset=onset)

    return session


def with_loss(wrap: Callable[[Callable[..., Loss]], Callable[..., Loss]]) -> Callable[[Task[Any]], Task[Any]]:
    return lambda task: replace(task, loss=wrap(task.loss))


def nan_stay(plain: Callable[..., Loss]) -> Callable[..., Loss]:
    """One training stay in fifty holds values that are no numbers."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        is_it = batch.ids % 50 == 7
        return plain(model, replace(batch, value=torch.where(is_it[batch.owner], torch.nan, batch.value)))

    return loss


def nan_volume(plain: Callable[..., Loss]) -> Callable[..., Loss]:
    """One training volume holds values that are no numbers."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        is_it = (batch.ids == 5)[:, None, None, None, None]
        return plain(model, replace(batch, volume=torch.where(is_it, torch.nan, batch.volume)))

    return loss


def far_target(plain: Callable[..., Loss]) -> Callable[..., Loss]:
    """One row holds targets from another world."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        is_it = (batch.ids == 5)[:, None]
        return plain(model, replace(batch, target=torch.where(is_it, 1e4, batch.target)))

    return loss


def one_answer(plain: Callable[..., Loss]) -> Callable[..., Loss]:
    """A positive weight so large that yes is the cheapest answer for everybody."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        logits = model(batch.volume).float()
        weight = torch.tensor(3000.0)
        total = functional.binary_cross_entropy_with_logits(logits, batch.label, pos_weight=weight)
        return Loss(total, terms={"bce": total.detach()})

    return loss


def no_term(plain: Callable[..., Loss]) -> Callable[..., Loss]:
    """An ablation that lost its reconstruction: the term is there and zero."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        sound = plain(model, batch)
        return replace(sound, terms={**sound.terms, "reconstruction": torch.zeros(())})

    return loss


def detached(plain: Callable[..., Loss]) -> Callable[..., Loss]:
    """The loss does not reach the model."""

    def loss(model: nn.Module, batch: Batch) -> Loss:
        sound = plain(model, batch)
        return replace(sound, total=sound.total.detach() + 0 * sum(p.sum() for p in model.parameters()))

    return loss


def rounded(task: Task[Any]) -> Task[Any]:
    """From some step on the field is computed in half precision, inside an adaptive solver."""
    model: Any = task.model
    steps = {"n": 0}

    def round_off(part: nn.Module, given: Any, output: Tensor) -> Tensor:
        return output.bfloat16().float() if steps["n"] > STIFF_AT else output

    for part in model.network.field.net:
        part.register_forward_hook(round_off)

    def loss(net: nn.Module, batch: Batch) -> Loss:
        steps["n"] += torch.is_grad_enabled()
        return task.loss(net, batch)

    return replace(task, loss=loss)


STIFF_AT = 30
ICU, BATTERY, CELL = short(6, 2e-3), short(6, 5e-3), short(12, 3e-3)


def run(name: str, guide: str, causes: str, make: Any) -> Course:
    return Course(name=name, guide=guide, causes=tuple(causes.split()), make=make)


RECIPE_COURSES: tuple[Course, ...] = (
    run(
        "icu: a stay that is no number",
        "chest battery",
        "finite",
        course(icu_task, ICU, change=with_loss(nan_stay)),
    ),
    run(
        "icu: learning rate a thousand times too large",
        "cell",
        "spike gradient finite plateau",
        course(icu_task, ICU, short(6, 3.0, clip=0.0)),
    ),
    run(
        "icu: reconstruction that is zero",
        "ecg",
        "zero_term",
        course(icu_task, ICU, change=with_loss(no_term)),
    ),
    run(
        "battery: a target from another world",
        "battery",
        "spike gradient",
        course(battery_task, BATTERY, change=with_loss(far_target)),
    ),
    run(
        "battery: loss cut off from the model",
        "",
        "gradient unchanged",
        course(battery_task, BATTERY, change=with_loss(detached)),
    ),
    run(
        "battery: half precision in the solver",
        "icu battery",
        "stiffness",
        course(lambda seed: battery_task(seed, "dopri5"), BATTERY, change=rounded, onset=STIFF_AT),
    ),
    run(
        "cell: a volume that is no number",
        "cell",
        "finite",
        course(cell_task, CELL, change=with_loss(nan_volume)),
    ),
    run(
        "cell: everybody called active",
        "cell",
        "collapse",
        course(cell_task, CELL, change=with_loss(one_answer)),
    ),
    run(
        "cell: learning rate a thousand times too large",
        "cell",
        "spike gradient finite plateau collapse",
        course(cell_task, CELL, short(12, 3.0, clip=0.0)),
    ),
)
