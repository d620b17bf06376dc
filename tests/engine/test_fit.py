"""`fit` adds nothing to a plain loop, and whatever stops it stops between two whole states."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, model, squared_error
from homeostat.engine import schedule
from homeostat.engine.fit import fit
from homeostat.engine.optim import OptimConfig
from homeostat.engine.state import differences
from homeostat.errors import ConfigError, Halted, Interrupted, OutOfResources
from homeostat.guards.finite import Finite
from homeostat.run import Run, create
from homeostat.task.randomness import seeded
from homeostat.task.task import Group, Loss


def plain_loop(network: nn.Module, epochs: int = 6) -> None:
    task = make_task(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=1e-2, fused=True)
    step, total = 0, epochs * len(task.batches)
    for epoch in range(epochs):
        order = task.batches.order(epoch)
        for start in range(0, 70, 16):
            batch = task.batches.gather(order[start : start + 16])
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * schedule.factor(SETTINGS.schedule, step / total)
            optimizer.zero_grad()
            with seeded(3, "step", step):
                loss = nn.functional.mse_loss(network(batch.x), batch.y)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1


@pytest.mark.parametrize("norm", [False, True])
def test_equals_a_plain_loop_bit_for_bit(run: Run, norm: bool) -> None:
    plain, ours = model(norm=norm), model(norm=norm)
    plain_loop(plain)
    state = fit(make_task(ours), SETTINGS, run)
    assert state.step == 30
    assert not differences(plain.state_dict(), state.model.state_dict())


def test_leaves_global_random_numbers_and_handlers_alone(run: Run) -> None:
    random, handler = torch.get_rng_state(), signal.getsignal(signal.SIGTERM)
    fit(make_task(), SETTINGS, run)
    assert torch.equal(random, torch.get_rng_state())
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_run_that_is_done_is_returned_unchanged(run: Run) -> None:
    first = fit(make_task(), SETTINGS, run).snapshot()
    lines = len(list(run.events("step")))
    again = fit(make_task(), SETTINGS, run)
    assert not differences(first, again.snapshot())
    assert len(list(run.events("step"))) == lines


def test_an_extended_run_is_planned_anew_from_where_it_ended(run: Run) -> None:
    fit(make_task(), SETTINGS, run)
    longer = fit(make_task(), replace(SETTINGS, epochs=9), run)
    assert longer.step == 45
    rates = [event["learning_rate"] for event in run.events("step") if event["step"] > 30]
    assert rates[0] == pytest.approx(1e-2 * schedule.factor(SETTINGS.schedule, 31 / 45), rel=0.05)


def test_pieces_give_the_gradient_of_the_whole_batch(
    run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = fit(make_task(model(dropout=0.0)), SETTINGS, run)
    other = create(tmp_path_factory.mktemp("pieces") / "run", {})
    cut = fit(make_task(model(dropout=0.0)), replace(SETTINGS, accumulate=3), other)
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(value, cut.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_pieces_weigh_by_valid_entries(run: Run) -> None:
    """A masked loss is a mean over valid entries; pieces that hold few of them must count little."""

    def masked(network: nn.Module, batch: Pairs) -> Loss:
        valid = (batch.ids % 7 == 0).float()[:, None]
        count = valid.sum()
        total = ((network(batch.x) - batch.y).square() * valid).sum() / count.clamp_min(1)
        return Loss(total, count=count)

    settings = replace(SETTINGS, epochs=1, optim=OptimConfig(learning_rate=1e-3))
    task = make_task(model(dropout=0.0), masked, size=70)
    whole = fit(task, settings, run).snapshot()["optimizer"]["state"][0]["exp_avg"]
    cut_run = run.child("cut")
    cut_task = make_task(model(dropout=0.0), masked, size=70)
    cut = fit(cut_task, replace(settings, accumulate=7), cut_run).snapshot()["optimizer"]["state"][0][
        "exp_avg"
    ]
    torch.testing.assert_close(whole, cut, rtol=1e-4, atol=1e-7)


def test_exhausted_memory_halves_the_pieces_and_keeps_batch_and_order(run: Run) -> None:
    seen: list[tuple[int, list[int]]] = []

    def greedy(network: nn.Module, batch: Pairs) -> Loss:
        if len(batch.ids) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is.")
        seen.append((len(batch.ids), batch.ids.tolist()))
        return squared_error(network, batch)

    task = make_task(model(dropout=0.0), greedy)
    state = fit(task, replace(SETTINGS, epochs=1), run)
    assert state.pieces == 4
    assert [row for _, rows in seen for row in rows] == task.batches.order(0).tolist()
    assert [event["sentence"] for event in run.events("memory")] == [
        "memory ran out: batches are now computed in 2 pieces; their size and order stay",
        "memory ran out: batches are now computed in 4 pieces; their size and order stay",
    ]


def test_memory_that_not_even_one_sample_fits_into_is_out_of_resources(run: Run) -> None:
    def endless(network: nn.Module, batch: Pairs) -> Loss:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(OutOfResources, match="One sample alone does not fit into memory"):
        fit(make_task(loss=endless), SETTINGS, run)


def test_a_nan_halts_before_it_reaches_the_weights(run: Run) -> None:
    def poisoned(network: nn.Module, batch: Pairs) -> Loss:
        loss = squared_error(network, batch)
        factor = float("nan") if 13 in batch.ids.tolist() else 1.0
        return Loss(loss.total * factor, terms={"mse": loss.total * factor})

    network = model()
    with pytest.raises(Halted, match=r"Guard finite: At step \d the loss is nan \(from mse\), on rows .*13"):
        fit(make_task(network, poisoned), SETTINGS, run, [Finite()])
    assert all(bool(value.isfinite().all()) for value in network.state_dict().values())
    assert run.status()["state"] == "halted"
    assert next(run.events("alarm"))["remedy"] == "skip_batch"


def test_keeps_the_best_and_stops_when_nothing_gets_better(run: Run) -> None:
    planned = iter([0.9, 0.5, 0.7, 0.6, 0.8, 0.55])

    def score(network: nn.Module) -> Mapping[str, float]:
        return {"valid/mse": next(planned)}

    state = fit(make_task(score=score), replace(SETTINGS, patience=3), run)
    assert state.step == 25
    assert state.best is not None
    assert (state.best.score, state.best.step) == (0.5, 10)
    assert differences(state.best.weights, dict(state.model.state_dict()))
    assert not differences(dict(state.best.weights), dict(state.best_model().state_dict()))


def test_a_score_that_was_not_computed_is_named(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"selects 'valid/mse', but its scores are valid/auroc\."):
        fit(make_task(score=lambda network: {"valid/auroc": 0.5}), SETTINGS, run)


def test_the_average_of_the_weights_is_what_is_scored(run: Run) -> None:
    scored: list[nn.Module] = []

    def score(network: nn.Module) -> Mapping[str, float]:
        scored.append(network)
        return {"valid/mse": 1.0}

    average = replace(SETTINGS, optim=replace(SETTINGS.optim, average=0.9))
    state = fit(make_task(score=score), average, run)
    assert state.average is not None
    assert all(network is state.average for network in scored)
    assert differences(dict(state.average.state_dict()), dict(state.model.state_dict()))


def test_a_frozen_group_does_not_move_and_an_eval_part_stays_in_eval(run: Run) -> None:
    network = model(norm=True)
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    frozen = replace(make_task(network), groups=(Group("0.", rate=0.0), Group("1.", rate=0.0)))
    state = fit(frozen, SETTINGS, run)
    after = state.model.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["4.weight", "4.bias"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_stops_within_one_step_and_resumes_to_the_same_bits(
    run: Run, number: signal.Signals
) -> None:
    expected = fit(make_task(), SETTINGS, run.child("whole")).snapshot()
    calls = 0

    def signalling(network: nn.Module, batch: Pairs) -> Loss:
        nonlocal calls
        calls += 1
        if calls == 13:
            os.kill(os.getpid(), number)
        return squared_error(network, batch)

    with pytest.raises(Interrupted, match="stopped at step 13 because it was"):
        fit(make_task(loss=signalling), SETTINGS, run)
    assert run.status()["state"] == "interrupted"
    assert not differences(expected, fit(make_task(), SETTINGS, run).snapshot())


def test_a_signal_in_the_first_step_leaves_it_at_once(run: Run) -> None:
    def compiling(network: nn.Module, batch: Pairs) -> Loss:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal did not leave the step")

    network = model(norm=True)
    with pytest.raises(Interrupted, match="stopped at step 0"):
        fit(make_task(network, compiling), SETTINGS, run)
    whole = fit(make_task(model(norm=True)), SETTINGS, run.child("whole")).snapshot()
    assert not differences(whole, fit(make_task(model(norm=True)), SETTINGS, run).snapshot())


def test_a_signal_during_evaluation_leaves_it_unscored_and_the_resume_scores_it(run: Run) -> None:
    expected = fit(make_task(), SETTINGS, run.child("whole")).snapshot()
    calls = 0

    def score(network: nn.Module) -> Mapping[str, float]:
        nonlocal calls
        calls += 1
        if calls in (3, 6):
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("the signal did not leave the evaluation")
        return inner.score(network)

    inner = make_task()
    for step in (15, 25):
        with pytest.raises(Interrupted, match=f"stopped at step {step}"):
            fit(replace(make_task(), score=score), SETTINGS, run)
    assert not differences(expected, fit(make_task(), SETTINGS, run).snapshot())
