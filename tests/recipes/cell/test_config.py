"""Laws of the configuration: every preset is complete, every flag has a name of its own, nonsense is refused."""

from __future__ import annotations

import pytest

from homeostat.cli import train
from homeostat.config import from_plain, to_plain
from homeostat.errors import ConfigError
from homeostat.recipes.cell.config import PRESETS, Config
from homeostat.recipes.cell.recipe import recipe


@pytest.mark.parametrize("name", [None, *PRESETS])
def test_a_preset_travels_through_json(name):
    config = recipe.preset(name)
    assert from_plain(Config, to_plain(config)) == config


def test_flags_reach_every_part():
    _, config = train.parse(recipe, ["--zoom", "0.2", "--network", "small", "--side", "9", "--epochs", "3"])
    assert config.augment.zoom == 0.2
    assert config.model.network == "small"
    assert config.data.side == 9
    assert config.fit.epochs == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("seeds", 0), ("folds", 2), ("views", 0), ("expected_prior", 1.0), ("label_smoothing", -0.1)],
)
def test_impossible_settings_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        Config(**{name: value})
