"""Laws of the latent ODE: alone = in any batch, padding is nothing, nothing later is read, what is not seen flows."""

from __future__ import annotations

import pytest
import torch

from homeostat.recipes.battery.attention import AttentionLSTM, width_for
from homeostat.recipes.battery.model import NeuralODEModel

ADAPTIVE = {"solver": "dopri5", "rtol": 1e-4, "atol": 1e-5}
NETWORKS = {
    "rk4": lambda: NeuralODEModel(3, 8, 16, solver="rk4"),
    "euler": lambda: NeuralODEModel(3, 8, 16, solver="euler", step_size=0.5),
    "dopri5": lambda: NeuralODEModel(3, 8, 16, **ADAPTIVE),
    "lstm": lambda: AttentionLSTM(3, 16, reach=6),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]()


def ragged(tracks: int = 7, steps: int = 12):
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(tracks, steps, 3, generator=draw)
    t = torch.rand(tracks, steps, generator=draw).cumsum(1) * 2
    valid = torch.arange(steps) < torch.randint(4, steps + 1, (tracks, 1), generator=draw)
    seen = (torch.rand(tracks, steps, generator=draw) < 0.6) & valid
    seen[:, 0] = True
    return x, t, seen, valid


def test_the_call_of_the_seed_works_on_tensors():
    model = NeuralODEModel(input_dim=5, latent_dim=32, hidden_dim=64, solver="dopri5", use_adjoint=True)
    shared, own = torch.linspace(0, 3, 6), torch.rand(4, 6).cumsum(1)
    x = torch.randn(4, 6, 5)
    assert model(x, shared).shape == (4, 6, 1)
    output = model(x, own)
    output.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_track_alone_equals_itself_in_any_batch_and_with_any_padding(network):
    x, t, seen, valid = ragged()
    together = network.trace(x, t, seen, valid).output
    for row in range(len(x)):
        length = int(valid[row].sum())
        own = (x[row : row + 1, :length], t[row : row + 1, :length], seen[row : row + 1, :length])
        alone = network.trace(*own, torch.ones(1, length, dtype=torch.bool)).output
        torch.testing.assert_close(alone[0], together[row, :length], atol=1e-5, rtol=1e-5)


def test_what_the_padding_holds_changes_nothing(network):
    x, t, seen, valid = ragged()
    before = network.trace(x, t, seen, valid)
    other = torch.where(valid[..., None], x, 100.0)
    after = network.trace(other, t, seen, valid)
    torch.testing.assert_close(before.output[valid], after.output[valid])
    torch.testing.assert_close(before.solver_steps, after.solver_steps)


def test_inputs_that_were_not_seen_change_nothing(network):
    x, t, seen, valid = ragged()
    other = torch.where(seen[..., None], x, -7.0)
    torch.testing.assert_close(
        network.trace(x, t, seen, valid).output[valid], network.trace(other, t, seen, valid).output[valid]
    )


def test_no_output_reads_a_later_input(network):
    x, t, seen, valid = ragged()
    everything = torch.ones_like(valid)
    changed = x.clone()
    changed[:, 7:] += 3
    before = network.trace(x, t, everything, everything).output
    after = network.trace(changed, t, everything, everything).output
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert (before[:, 7:] - after[:, 7:]).abs().max() > 1e-3


def test_the_time_between_observations_matters_and_its_origin_does_not():
    torch.manual_seed(0)
    model = NeuralODEModel(3, 8, 16, solver="rk4")
    x, t, seen, valid = ragged()
    before = model.trace(x, t, seen, valid).output
    shifted = model.trace(x, t + 300, seen, valid).output
    slower = model.trace(x, 2 * t, seen, valid).output
    torch.testing.assert_close(before[valid], shifted[valid], atol=1e-4, rtol=1e-4)
    assert (before - slower)[valid].abs().max() > 1e-3


def test_a_forecast_by_steps_equals_a_forecast_in_one_go():
    torch.manual_seed(0)
    model = NeuralODEModel(3, 8, 16, solver="dopri5", rtol=1e-5, atol=1e-6)
    x, t, _, _ = ragged(2, 10)
    valid = torch.ones(2, 10, dtype=torch.bool)
    seen = torch.arange(10).expand(2, 10) < 4
    whole = model.trace(x, t, seen, valid).output
    # The last step alone, without the ones between: the flow does not depend on where it is looked at.
    kept = [0, 1, 2, 3, 9]
    sparse = model.trace(x[:, kept], t[:, kept], seen[:, kept], valid[:, kept]).output
    torch.testing.assert_close(whole[:, -1], sparse[:, -1], atol=1e-4, rtol=1e-4)


def test_solver_steps_are_counted_for_real_time_only():
    model = NeuralODEModel(3, 8, 16, solver="rk4")
    x, t, seen, valid = ragged()
    steps = model.trace(x, t, valid, valid).solver_steps
    # One step of rk4 for each interval shorter than its step size of 1.
    gaps = torch.diff(t, dim=1).ceil() * valid[:, 1:]
    torch.testing.assert_close(steps, gaps.sum(dim=1))


def test_discharges_of_the_same_moment_are_no_error(network):
    x, t, seen, valid = ragged()
    t = t.clone()
    t[:, 3] = t[:, 2]
    assert torch.isfinite(network.trace(x, t, seen, valid).output[valid]).all()


def test_x_of_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected \(batch, steps, 3 inputs\)"):
        NeuralODEModel(3)(torch.zeros(4, 3), torch.zeros(4))


def test_the_lstm_has_the_budget_of_the_model():
    for parameters in (1_000, 5_000, 40_000):
        width = width_for(parameters, 2)
        count = sum(p.numel() for p in AttentionLSTM(2, width, reach=4).parameters())
        wider = sum(p.numel() for p in AttentionLSTM(2, width + 4, reach=4).parameters())
        assert count <= parameters < wider or width == 4


def test_times_that_fall_are_no_gap_of_zero() -> None:
    x, t = torch.zeros(2, 3, 4), torch.tensor([[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]])
    model = NeuralODEModel(4, 8, 16, solver="rk4")
    with pytest.raises(ValueError, match="time of sample 1 falls from 2 to 1"):
        model(x, t)
    valid = torch.tensor([[True, True, True], [True, True, False]])
    assert model(x, t, valid=valid).shape == (2, 3, 1)


def test_what_does_not_fit_the_model_is_named() -> None:
    model = NeuralODEModel(4, 8, 16)
    with pytest.raises(ValueError, match="expected .batch, steps, 4 inputs"):
        model(torch.zeros(2, 3, 5), torch.zeros(3))
    with pytest.raises(ValueError, match="t has shape"):
        model(torch.zeros(2, 3, 4), torch.zeros(2))


def test_tolerances_of_fixed_steps_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="solver='euler' takes fixed steps"):
        NeuralODEModel(4, solver="euler", rtol=1e-3)
    with pytest.raises(ValueError, match="Did you mean 'dopri5'"):
        NeuralODEModel(4, solver="dopri55")
