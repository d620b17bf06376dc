"""Laws of the battery's settings: a setting that would do nothing is an error, and it says what to do."""

from __future__ import annotations

import pytest

from homeostat.config import from_plain, to_plain
from homeostat.errors import ConfigError
from homeostat.ode import SOLVERS
from homeostat.recipes.battery.config import PRESETS, Config, ModelConfig


@pytest.mark.parametrize("name", PRESETS)
def test_presets_travel_through_json(name):
    config = PRESETS[name]()
    assert from_plain(Config, to_plain(config)) == config


@pytest.mark.parametrize("name", ["fast", "balanced", "accurate"])
def test_presets_of_the_seed_have_no_dead_settings(name):
    model = PRESETS[name]().model
    sizes = {"fast": (16, 32, "euler"), "balanced": (32, 64, "rk4"), "accurate": (64, 128, "dopri5")}
    assert (model.latent_dim, model.hidden_dim, model.solver) == sizes[name]
    if SOLVERS[model.solver].is_adaptive:
        assert model.step_size is None
        assert (model.rtol, model.atol) == (1e-5, 1e-6)
    else:
        assert model.rtol is None
        assert model.atol is None


@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_tolerances_of_a_fixed_step_solver_are_refused(solver):
    with pytest.raises(ConfigError, match=f"rtol and atol would do nothing: {solver} takes fixed steps"):
        ModelConfig(solver=solver, rtol=1e-4, atol=1e-5)


def test_a_step_size_of_an_adaptive_solver_is_refused():
    with pytest.raises(ConfigError, match="step_size 0.5 would do nothing: dopri5 chooses its own steps"):
        ModelConfig(solver="dopri5", step_size=0.5)


def test_a_tolerance_below_the_state_s_precision_is_refused():
    with pytest.raises(ConfigError, match="below what float32 can carry"):
        ModelConfig(solver="dopri5", rtol=1e-7)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seeds": 0}, "seeds 0 must be at least 1"),
        ({"folds": 2}, "folds 2 must be at least 3"),
        ({"window_steps": 1}, "window_steps 1 must be at least 2"),
        ({"noise": -1.0}, "noise -1.0 must not be negative"),
        ({"seen_shares": (0.3, 1.5)}, "must be shares of a life"),
    ],
)
def test_impossible_settings_are_refused(wrong, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Config(**wrong)
