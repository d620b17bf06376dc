"""A network of one's own takes the place of a recipe's: it is trained, predicts, and is checked before that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.cli import code
from homeostat.errors import ConfigError
from homeostat.methods import crossfit
from homeostat.recipes import RECIPES, find
from homeostat.run import Run
from rehearsal import maker

NETWORKS = """
import torch
from torch import nn

class Tracks(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.gru = nn.GRU(inputs + 2, 4, batch_first=True)
        self.last = nn.Linear(4, 1)

    def forward(self, x, t, seen, valid):
        known = torch.where(seen[..., None], x, 0.0)
        states, _ = self.gru(torch.cat([known, seen[..., None].float(), t[..., None]], -1))
        return self.last(states)[..., 0]

class Volumes(nn.Module):
    def __init__(self, channels, sides):
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(channels, 4, 3, padding=1), nn.ReLU())
        self.last = nn.Linear(4, 1)

    def forward(self, volume):
        return self.last(self.body(volume).mean((2, 3, 4)))[:, 0]

class Stays(nn.Module):
    def __init__(self, variables, static, outputs):
        super().__init__()
        self.gru = nn.GRU(3 * variables, 4, batch_first=True)
        self.last = nn.Linear(4 + static, outputs)

    def forward(self, value, seen, gap, static):
        _, state = self.gru(torch.cat([value, seen, gap], -1))
        return self.last(torch.cat([state[0], static], -1))

class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, first, *others):
        return self.scale * torch.zeros(len(first), 99)
"""
OF_RECIPE = {"battery": "Tracks", "cell": "Volumes", "icu": "Stays"}
EXPECTED = {
    "battery": "of shape (3, 6): one number per step of a track, in standard deviations of the target. "
    "It is given x (3, 6,",
    "cell": "of shape (4,): one logit per volume. It is given volume (4, 2, 16, 8, 8).",
    "icu": "of shape (4, 9): logits of death in hospital, then three severity scores and death within five horizons. "
    "It is given value (4, 48, ",
}


def test_every_recipe_takes_one() -> None:
    assert set(OF_RECIPE) == set(EXPECTED) == set(RECIPES)


@pytest.fixture(params=sorted(RECIPES))
def place(request: pytest.FixtureRequest, outside: Path) -> tuple[Any, Run, Path]:
    recipe = find(request.param)
    (outside / "my_net.py").write_text(NETWORKS)
    (outside / "data").mkdir()
    recipe.simulate(outside / "data", 0)
    return recipe, maker(recipe.name, outside / "data")(outside / "run", recipe.preset("smoke")), outside


def configured(recipe: Any, word: str) -> Any:
    """The smoke configuration with that network."""
    config = recipe.preset("smoke")
    if recipe.name == "icu":
        return replace(config, network=word)
    return replace(config, model=replace(config.model, network=word))


def test_it_is_trained_and_predicts(place: tuple[Any, Run, Path]) -> None:
    recipe, run, folder = place
    config = code.absolute(configured(recipe, f"./my_net.py:{OF_RECIPE[recipe.name]}"))
    assert list(code.digests_of(recipe, config)) == [str(folder / "my_net.py")]
    store = recipe.prepare(config, folder / "data", folder / "stores")
    plan = recipe.plan(config, run, store)
    child = next(child for child in plan.children if child.method.name == "own")
    with run.active():
        run.environment(children=[child.name], **plan.notes)
        crossfit.train(plan, child, run, run.child(child.name))
    (predictor,) = crossfit.load(run, child.method, [child.name])
    ids = child.lesson.splits.part(child.method.parts[-1])
    outputs = np.asarray(predictor.answer(plan.data, ids))
    assert np.isfinite(outputs).all()
    answered = crossfit.predict(run, child.method, plan.data, ids, plan.table)
    np.testing.assert_allclose(answered.outputs.ravel(), outputs.ravel())


def test_what_does_not_fit_is_named_before_anything_is_learnt(place: tuple[Any, Run, Path]) -> None:
    recipe, run, folder = place
    config = configured(recipe, "./my_net.py:Flat")
    store = recipe.prepare(config, folder / "data", folder / "stores")
    with pytest.raises(ConfigError) as error:
        recipe.train(config, run, store)
    assert "The network ./my_net.py:Flat returns shape (" in str(error.value)
    assert f"expected a tensor {EXPECTED[recipe.name]}" in str(error.value)
    assert not list(run.folder.rglob("*.ckpt"))


def test_the_doctor_has_a_case_of_it(place: tuple[Any, Run, Path]) -> None:
    recipe, run, folder = place
    config = configured(recipe, f"./my_net.py:{OF_RECIPE[recipe.name]}")
    case = recipe.case(config, run, recipe.prepare(config, folder / "data", folder / "stores"))
    assert "own" in case.name or recipe.name == "cell"


def test_a_model_and_a_network_at_once_are_refused() -> None:
    config = find("icu").preset("smoke")
    with pytest.raises(ConfigError, match=r"--network \./a\.py:Net takes the place of --model gru-d"):
        replace(config, model="gru-d", network="./a.py:Net")
    with pytest.raises(ConfigError, match="There is no network 'tinny'. Did you mean 'tiny'"):
        replace(find("cell").preset("smoke").model, network="tinny")
