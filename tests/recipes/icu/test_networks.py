"""Laws of the three networks: a stay's prediction is its own, hidden values stay hidden, a path is a solution."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from homeostat.ode import odeint
from homeostat.recipes.icu import training
from homeostat.recipes.icu.case import padded
from homeostat.recipes.icu.config import NETWORKS, Config, smoke
from homeostat.recipes.icu.latent import LatentOde, divergence, reconstruction

TOLERANCE = 1e-5


@pytest.fixture(params=NETWORKS)
def network(request, stays):
    built = training.prepared(request.param, Config(), stays, np.arange(160))
    with torch.no_grad():  # away from the start, where every stay gets the prior
        for parameter in built.parameters():
            if parameter.dim() > 1:
                parameter.mul_(1.5)
    return built.eval()


def probabilities(network, batch):
    with torch.no_grad():
        return network(batch).logits[:, 0].sigmoid()


@pytest.mark.parametrize("size", [2, 64, 240])
def test_a_stay_has_the_same_probability_alone_and_in_any_batch(network, stays, size):
    together = probabilities(network, stays.gather(np.arange(240 - size, 240)))
    for row in (240 - size, 239):
        alone = probabilities(network, stays.gather(np.array([row])))
        assert abs(alone - together[row - 240 + size]).item() < TOLERANCE


def test_four_thousand_together_have_the_probabilities_of_each_alone(network, stays):
    rows = np.resize(np.arange(240), 4000)
    together = probabilities(network, stays.gather(rows))
    few = probabilities(network, stays.gather(np.arange(8)))
    assert (together[:8] - few).abs().max() < TOLERANCE
    assert (together[240:480] - together[:240]).abs().max() < TOLERANCE


@pytest.mark.parametrize("more", [1, 300])
def test_padding_changes_nothing(network, stays, more):
    batch = stays.gather(np.arange(30))
    assert (
        probabilities(network, batch) - probabilities(network, padded(batch, more))
    ).abs().max() < TOLERANCE
    if isinstance(network, LatentOde):
        plain, wider = (network(each, reconstruct=True).expected for each in (batch, padded(batch, more)))
        assert (plain - wider).abs().max() < TOLERANCE


def test_hidden_observations_change_nothing(network, stays):
    batch = stays.gather(np.arange(30))
    seen = torch.rand(len(batch.seen)) < 0.7
    one = replace(batch, seen=seen)
    other = replace(one, value=torch.where(seen, one.value, torch.full_like(one.value, 50.0)))
    assert torch.equal(probabilities(network, one), probabilities(network, other))
    assert not torch.equal(probabilities(network, one), probabilities(network, batch))


def test_an_untrained_network_gives_the_prior(stays):
    rate = stays.label[:160].mean()
    for kind in NETWORKS:
        built = training.prepared(kind, Config(), stays, np.arange(160)).eval()
        assert probabilities(built, stays.gather(np.arange(160))).mean().item() == pytest.approx(
            rate, abs=0.08
        )


def test_every_parameter_learns(network, stays):
    task = training.training(network, Config(), stays, np.arange(160), np.arange(160, 240))
    network.train()
    task.loss(network, task.batches.batch(np.arange(64), 3)).total.backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_the_path_solves_its_field_and_is_read_at_own_times(stays):
    network = training.prepared("latent-ode", smoke(), stays, np.arange(160)).eval()
    assert isinstance(network, LatentOde)
    batch = stays.gather(np.arange(6))
    with torch.no_grad():
        start, _ = network.encoder(batch)
        path, _ = network.solve(start, batch)
        coarse, _ = network.solve(start, None)
        assert (path.grid - coarse.grid).abs().max() < 1e-5, "what is decoded does not move the path"
        state, steps = start.double(), 480
        field = network.field.double()
        for step in range(steps):
            at = torch.full((6,), step / steps, dtype=torch.float64)
            half = state + field(at, state) / steps / 2
            state = state + field(at + 0.5 / steps, half) / steps
    assert (path.grid[:, -1] - state).abs().max() < 1e-4


def test_a_path_is_decoded_at_each_stays_own_moments(stays):
    network = training.prepared("latent-ode", smoke(), stays, np.arange(160)).eval()
    rows = np.array([4, 9, 30])
    together = stays.gather(rows)
    with torch.no_grad():
        shown = network(together, reconstruct=True).expected
        start, _ = network.encoder(together)
        for place, row in enumerate(rows):
            own = stays.gather(np.array([row]))
            times = torch.cat([torch.zeros(1), own.moments[0]])
            states = odeint(network.field, start[place][None], times, step_size=1 / 64).ys[0, 1:]
            expected = network.decoder(states)[own.step, own.variable]
            assert (shown[together.owner == place] - expected).abs().max() < 1e-3


def test_divergence_is_that_of_two_normals():
    mean, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, -2.0]])
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros(1, 2), torch.ones(1, 2))
    expected = torch.distributions.kl_divergence(posterior, prior).mean()
    assert divergence(mean, log_variance).item() == pytest.approx(expected.item(), rel=1e-5)


def test_reconstruction_counts_hidden_observations_most(stays):
    network = training.prepared("latent-ode", smoke(), stays, np.arange(160)).eval()
    batch = stays.gather(np.arange(10))
    batch = replace(batch, seen=torch.rand(len(batch.seen)) < 0.5)
    with torch.no_grad():
        read = network(batch, reconstruct=True)
    hidden = replace(batch, value=torch.where(batch.seen, read.expected, batch.value))
    assert reconstruction(read, hidden, stays.variables) < reconstruction(
        read, hidden, stays.variables, weight_of_seen=0.0
    )
    known = replace(batch, value=read.expected)
    assert reconstruction(read, known, stays.variables) == 0


def test_unknown_outcomes_do_not_teach(stays):
    network = training.prepared("latent-ode", smoke(), stays, np.arange(160)).eval()
    batch = stays.gather(np.arange(10))
    logits = network(batch).logits
    unknown = replace(
        batch,
        scores=torch.full_like(batch.scores, torch.nan),
        within=torch.full_like(batch.within, torch.nan),
    )
    assert training.further(logits, unknown).item() == 0


def test_an_outcome_that_nobody_recorded_is_no_term_of_the_loss(stays):
    """A term that is always zero would be reported as one that does not work. The loss is the same number."""
    bare = replace(
        stays, scores=np.full_like(stays.scores, np.nan), within=np.full_like(stays.within, np.nan)
    )
    network = training.prepared("latent-ode", smoke(), stays, np.arange(160)).eval()
    rows, valid, batch = np.arange(120), np.arange(120, 160), bare.gather(np.arange(10))
    alone = training.training(network, smoke(), bare, rows, valid).loss(network, batch)
    assert "further_outcomes" not in alone.terms
    assert (
        "further_outcomes"
        in training.training(network, smoke(), stays, rows, valid).loss(network, batch).terms
    )
    with_it = training.outcome_loss(smoke(), bare.variables)(network, batch)
    assert with_it.terms["further_outcomes"] == 0
    assert alone.total.item() == with_it.total.item()
