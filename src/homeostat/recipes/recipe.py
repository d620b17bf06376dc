"""What is a training system? A name, a Config, and functions from files to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from homeostat.errors import ConfigError, did_you_mean

if TYPE_CHECKING:  # a recipe is described without torch or polars being loaded
    from homeostat.audits.case import Case
    from homeostat.data.store import Explanation, Store
    from homeostat.run import Run

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[C]):
    """One training system. Every function starts from files and ends in files, so each can be run again alone."""

    name: str
    summary: str
    """One sentence for `homeostat --help`."""
    config: type[C]
    """A frozen dataclass whose defaults train well. Its field `fit` is an `engine.fit.Settings`; its other
    fields become flags, with the strings under them as help texts."""
    prepare: Callable[[C, Path, Path], Store]
    """(config, raw data folder or file, folder of stores) -> the sealed store. Called again on each start:
    an unchanged store is found, not rebuilt."""
    explain: Callable[[C, Path, Path], Explanation]
    """The same arguments: whether `prepare` would reuse a store, and why. Reads only."""
    train: Callable[[C, Run, Store], None]
    """(config, run, store): split, fit, and write splits.json and predictions/{valid,test}.parquet. Called again
    on resume: `fit` on a run or child run that is done returns its State at once."""
    predict: Callable[[C, Run, Path, Path], None]
    """(config, run, new data, output parquet): predictions of the best model for data without targets."""
    scores: Callable[[Path], Mapping[str, Any]]
    """(run folder) -> contents of metrics.json, from the prediction files alone."""
    simulate: Callable[[Path, int], None]
    """(empty folder, seed): write a small simulated cohort with known truth, in the raw layout that `prepare`
    reads."""
    case: Callable[[C, Run, Store], Case] | None = None
    """(config, run, store) -> the untrained network, its batches, loss and splits, for `doctor` to try laws on. None:
    only what tasks and files tell is tried."""
    presets: Mapping[str, Callable[[], C]] = field(default_factory=dict)
    """Named configurations; `smoke` must exist and end within seconds on the simulated cohort."""

    address: str = ""
    """Where `recipes.find` loaded it from: a file or module, and a name in it. Empty for those of this package."""

    @property
    def word(self) -> str:
        """What finds this recipe again, from any folder and in any process."""
        return self.address or self.name

    def preset(self, name: str | None) -> C:
        """Return the named configuration, or the default one for None."""
        if name is None:
            return self.config()
        if name not in self.presets:
            raise ConfigError(f"Recipe {self.name} has no preset {name!r}.{did_you_mean(name, self.presets)}")
        return self.presets[name]()
