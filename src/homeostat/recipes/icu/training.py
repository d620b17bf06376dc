"""The tasks of a network: reconstruction of hidden observations without outcomes, then death in hospital."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.data.batches import Batches
from homeostat.data.ragged import Array
from homeostat.engine import device as devices
from homeostat.engine.fit import fit
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.engine.state import load_weights
from homeostat.errors import DataError
from homeostat.guards import every
from homeostat.methods.ensemble import probability
from homeostat.methods.method import Lesson
from homeostat.recipes.icu.cohort import SCORES, Batch, Cohort
from homeostat.recipes.icu.config import Config, Network
from homeostat.recipes.icu.hiding import hider
from homeostat.recipes.icu.latent import LatentOde, Read, Size, divergence, reconstruction
from homeostat.recipes.icu.own import OwnReader, replaced
from homeostat.recipes.icu.recurrent import GruD, OdeRnn
from homeostat.recipes.icu.summary import start_bias
from homeostat.recipes.icu.view import View
from homeostat.run import Run
from homeostat.task.numbers import ODE_EVALUATIONS
from homeostat.task.randomness import address, seeded
from homeostat.task.task import Group, Loss, Task

# Stays on which a network of one's own is tried before it is trained.
TRIED = 4
SCORING_SIZE = 512
"""Stays scored at a time: memory, not results, depends on it."""


def task_of(kind: Network, config: Config, lesson: Lesson[View]) -> Task[Batch]:
    """The untrained network of a lesson, with its stays and losses."""
    own, view = seeded_by(lesson, config), lesson.data
    rows, valid = view.rows(lesson.splits.train), view.rows(lesson.splits.valid)
    return training(prepared(kind, own, view.cohort, rows), own, view.cohort, rows, valid)


def seeded_by(lesson: Lesson[View], config: Config) -> Config:
    return replace(config, fit=replace(config.fit, seed=lesson.seed))


def settings(kind: Network, config: Config, lesson: Lesson[View], task: Task[Batch]) -> Settings:
    """The settings of one training. Where nothing may be chosen, it is scored once, at its end."""
    chosen = seeded_by(lesson, config).fit
    if not lesson.at_end:
        return chosen
    epochs = chosen.epochs if kind == "latent-ode" else config.recurrent_epochs
    return replace(chosen, epochs=epochs, patience=0, evaluate_every=epochs * len(task.batches))


def pretrain(network: nn.Module, config: Config, settings: Settings, lesson: Lesson[View], run: Run) -> None:
    """Train a network in place, in a child run, to reconstruct observations of stays whose outcomes are not read."""
    view = lesson.data
    valid = view.rows(lesson.splits.valid)
    task = pretraining(network, seeded_by(lesson, config), view.cohort, view.unlabelled, valid)
    schedule = ScheduleConfig(schedule="one-cycle", warmup=0.2)
    chosen = replace(settings, epochs=config.pretrain_epochs, schedule=schedule, patience=0)
    state = fit(task, chosen, run.child("pretrain"), every())
    load_weights(network, state.scored_model.state_dict())


def build(kind: Network, config: Config, cohort: Cohort) -> nn.Module:
    """An untrained network; the same for the same seed."""
    size = Size(
        variables=cohort.variables,
        static=cohort.static.shape[1],
        latent=config.latent_dim,
        hidden=config.hidden_dim,
        field=config.ode_hidden_dim,
        input_dropout=config.input_dropout,
        dropout=config.dropout,
        head_dropout=config.head_dropout,
    )
    recurrent = max(config.hidden_dim // 4, 1)
    with seeded(config.fit.seed, "model", kind):
        if kind == "latent-ode":
            return LatentOde(size, config.step_h)
        if kind == "ode-rnn":
            return OdeRnn(size, recurrent, config.step_h)
        gru = GruD(size, recurrent)
        tried = cohort.gather(np.arange(min(TRIED, len(cohort.ids))))
        return gru if kind == "gru-d" else replaced(config.network, gru, size, tried)


def prepared(kind: Network, config: Config, cohort: Cohort, rows: Array) -> nn.Module:
    """A network whose scales are fitted on the training rows, and that starts at the prior of death."""
    network = build(kind, config, cohort)
    if isinstance(network, LatentOde):
        network.encoder.summary.fit(list(batches_of(cohort, rows)))
        start_at_prior(network.reader[-1], cohort, rows)
    elif isinstance(network, GruD | OdeRnn):
        start_at_prior(network.reader.net[-1], cohort, rows)
    elif isinstance(network, OwnReader):
        network.offset[0] = start_bias(rate_of(cohort, rows))
    return network


def start_at_prior(last: nn.Module, cohort: Cohort, rows: Array) -> None:
    """The outcome's bias is the logit of how common death is among the training stays."""
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias[0] = start_bias(rate_of(cohort, rows))


def rate_of(cohort: Cohort, rows: Array) -> float:
    """How common death is among these stays, a thousandth at least."""
    return float(np.clip(np.nanmean(cohort.label[rows]), 1e-3, 1 - 1e-3))


def training(network: nn.Module, config: Config, cohort: Cohort, rows: Array, valid: Array) -> Task[Batch]:
    """Death in hospital, further outcomes, reconstruction and divergence; chosen by AUROC on validation."""
    known = rows[np.isfinite(cohort.label[rows])]
    judged = valid[np.isfinite(cohort.label[valid])]
    if len(np.unique(cohort.label[judged])) < 2 or len(np.unique(cohort.label[known])) < 2:
        raise DataError(
            f"Training ({len(known):,} stays) and validation ({len(judged):,}) must both hold deaths and survivors "
            "with known outcome. Add outcomes, or choose another split."
        )

    from sklearn.metrics import (
        average_precision_score,
        roc_auc_score,
    )  # slow to load, and most commands need none

    def score(model: nn.Module) -> Mapping[str, float]:
        outputs = logits(model, cohort, judged)[:, 0]
        truth = cohort.label[judged]
        loss = functional.binary_cross_entropy_with_logits(torch.from_numpy(outputs), torch.from_numpy(truth))
        return {
            "valid/auroc": float(roc_auc_score(truth, outputs)),
            "valid/auprc": float(average_precision_score(truth, outputs)),
            "valid/bce": float(loss),
        }

    return Task(
        model=network,
        batches=stays(config, cohort, known),
        loss=outcome_loss(config, cohort.variables, has_further(cohort, known)),
        score=score,
        select="valid/auroc",
        direction="max",
        islands=islands(network),
    )


def pretraining(network: nn.Module, config: Config, cohort: Cohort, rows: Array, valid: Array) -> Task[Batch]:
    """Hidden observations and divergence, without any outcome; validation hides the same observations each time."""
    hide = hider(address(config.fit.seed, "validation"), config.hide, config.hide_window)
    judged = [hide(batch, 0) for batch in batches_of(cohort, valid)]

    def loss(model: nn.Module, batch: Batch) -> Loss:
        read: Read = model(batch, reconstruct=True)
        terms = path_terms(read, batch, config, cohort.variables)
        return summed(terms, read)

    def score(model: nn.Module) -> Mapping[str, float]:
        device = next(model.parameters()).device
        errors = []
        for batch in judged:
            moved = devices.move(batch, device)
            read: Read = model(moved, reconstruct=True)
            errors.append(
                float(reconstruction(read, moved, cohort.variables, weight_of_seen=0)) * len(batch.ids)
            )
        return {"valid/hidden_error": sum(errors) / sum(len(batch.ids) for batch in judged)}

    return Task(
        model=network,
        batches=stays(config, cohort, rows),
        loss=loss,
        score=score,
        select="valid/hidden_error",
        direction="min",
        groups=(Group("reader", rate=0),) if isinstance(network, LatentOde) else (),  # it waits for outcomes
        islands=islands(network),
    )


def islands(network: nn.Module) -> tuple[str, ...]:
    """Parts that stay in fp32: the vector field, and the statistics, which are sums over hundreds of observations."""
    if isinstance(network, LatentOde):
        return ("field", "encoder.summary")
    return ("field",) if isinstance(network, OdeRnn) else ()


def stays(config: Config, cohort: Cohort, rows: Array) -> Batches[Batch]:
    hide = hider(config.fit.seed, config.hide, config.hide_window)

    def changed(batch: Batch, epoch: int) -> Batch:
        return dataclasses.replace(hide(batch, epoch), epoch=epoch)

    return Batches(
        count=len(rows),
        size=min(config.batch_size, len(rows)),
        gather=lambda places: cohort.gather(rows[places]),
        seed=config.fit.seed,
        augment=changed,
        drop_last=len(rows) > config.batch_size,
    )


def has_further(cohort: Cohort, rows: Array) -> bool:
    """Say whether any outcome besides death in hospital is known of these stays; a tidy table has none."""
    return bool(np.isfinite(cohort.scores[rows]).any() or np.isfinite(cohort.within[rows]).any())


def outcome_loss(
    config: Config, variables: int, has_further: bool = True
) -> Callable[[nn.Module, Batch], Loss]:
    def loss(model: nn.Module, batch: Batch) -> Loss:
        reconstructs = isinstance(model, LatentOde) and config.reconstruction_weight > 0
        read: Read = model(batch, reconstruct=reconstructs)
        terms = {"death": functional.binary_cross_entropy_with_logits(read.logits[:, 0], batch.label)}
        if config.auxiliary_weight and has_further:
            terms["further_outcomes"] = config.auxiliary_weight * further(read.logits, batch)
        if read.mean is not None:
            terms |= path_terms(read, batch, config, variables)
        return summed(terms, read)

    return loss


def further(outputs: Tensor, batch: Batch) -> Tensor:
    """Severity scores (squared error) and death within some days (cross-entropy), where they are known."""
    split = 1 + len(SCORES)
    scores, within = outputs[:, 1:split].float(), outputs[:, split:].float()
    error = known_mean((scores - batch.scores.nan_to_num()) ** 2, batch.scores)
    deaths = functional.binary_cross_entropy_with_logits(within, batch.within.nan_to_num(), reduction="none")
    return known_mean(deaths, batch.within) + 0.9 * error


def known_mean(values: Tensor, truth: Tensor) -> Tensor:
    """Mean over all entries, of which unknown ones count as 0: few known ones do not weigh like many."""
    return (values * truth.isfinite()).mean()


def path_terms(read: Read, batch: Batch, config: Config, variables: int) -> dict[str, Tensor]:
    assert read.mean is not None
    assert read.log_variance is not None
    warm = min(1.0, (batch.epoch + 1) / config.kl_warmup_epochs) if config.kl_warmup_epochs else 1.0
    terms = {"divergence": config.kl_weight * warm * divergence(read.mean.float(), read.log_variance.float())}
    if read.expected is not None:
        terms["reconstruction"] = config.reconstruction_weight * reconstruction(read, batch, variables)
    return terms


def summed(terms: Mapping[str, Tensor], read: Read) -> Loss:
    numbers = {} if read.evaluations is None else {ODE_EVALUATIONS: read.evaluations.float().mean()}
    return Loss(
        total=torch.stack(list(terms.values())).sum(),
        terms={name: term.detach() for name, term in terms.items()},
        numbers=numbers,
    )


def batches_of(cohort: Cohort, rows: Array) -> list[Batch]:
    return [cohort.gather(rows[start : start + SCORING_SIZE]) for start in range(0, len(rows), SCORING_SIZE)]


def logits(model: nn.Module, cohort: Cohort, rows: Array) -> Array:
    """(rows, OUTPUTS) of a model in eval mode."""
    device = next(model.parameters()).device
    with torch.no_grad():
        outputs = [
            model(devices.move(batch, device)).logits.float().cpu() for batch in batches_of(cohort, rows)
        ]
    return torch.cat(outputs).numpy()


def probabilities(model: nn.Module, cohort: Cohort, rows: Array) -> Array:
    """Probabilities of death in hospital, (rows,)."""
    return probability(logits(model, cohort, rows)[:, 0].astype(np.float64))
