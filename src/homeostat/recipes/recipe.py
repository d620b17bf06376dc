"""A recipe is one training system: a name, a Config, and functions from files to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from homeostat.errors import ConfigError, did_you_mean

if TYPE_CHECKING:  # a recipe is described without torch or polars being loaded
    from homeostat.audits.case import Case
    from homeostat.data.blueprint import Blueprint
    from homeostat.data.store import Explanation, Store
    from homeostat.evaluate.predictions import Predictions
    from homeostat.methods.method import Plan
    from homeostat.run import Run

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[C]):
    """One training system. Every function starts from files and ends in files, so each can be run again alone."""

    name: str
    summary: str
    """One sentence for `homeostat --help`."""
    config: type[C]
    """A frozen dataclass whose defaults train well. Its field `fit` is an `engine.settings.Settings`; its other
    fields become flags, with the strings under them as help texts."""
    blueprint: Callable[[C, Path], Blueprint]
    """(config, raw data folder or file) -> how the store of these data is made. Builds nothing."""
    plan: Callable[[C, Run, Store], Plan[Any]]
    """(config, run, store) -> what is trained: methods, splits and seeds. The same for every process of a run."""
    predict: Callable[[C, Run, Store], Predictions]
    """(config, run, store of new data) -> predictions of the best models for data without targets."""
    scores: Callable[[Path], Mapping[str, Any]]
    """(run folder) -> contents of metrics.json, from the prediction files alone."""
    simulate: Callable[[Path, int], None]
    """(empty folder, seed): write a small simulated cohort with known truth, in a raw layout that `blueprint`
    knows."""
    new_blueprint: Callable[[C, Path], Blueprint] | None = None
    """The same as `blueprint` for data whose targets nobody knows yet. None: `blueprint` reads them too."""
    finish: Callable[[C, Run, Store], None] | None = None
    """(config, run, store): files beside the predictions, such as curves for the report, when all is trained."""
    case: Callable[[C, Run, Store], Case] | None = None
    """(config, run, store) -> the untrained network, its batches, loss and splits, for `doctor` to try laws on. None:
    only what tasks and files tell is tried."""
    presets: Mapping[str, Callable[[], C]] = field(default_factory=dict)
    """Named configurations; `smoke` must exist and end within seconds on the simulated cohort."""

    address: str = ""
    """Where `recipes.find` loaded it from: a file or module, and a name in it. Empty for those of this package."""

    @property
    def word(self) -> str:
        """The word that finds this recipe again, from any folder and in any process."""
        return self.address or self.name

    def preset(self, name: str | None) -> C:
        """Return the named configuration, or the default one for None."""
        if name is None:
            return self.config()
        if name not in self.presets:
            raise ConfigError(f"Recipe {self.name} has no preset {name!r}.{did_you_mean(name, self.presets)}")
        return self.presets[name]()

    def prepare(self, config: C, raw: Path, stores: Path) -> Store:
        """Build the store of these data in the folder of stores; an unchanged one is found again."""
        return self.blueprint(config, raw).build(stores)

    def explain(self, config: C, raw: Path, stores: Path) -> Explanation:
        """Say whether `prepare` would reuse a store, and why. Reads only."""
        return self.blueprint(config, raw).explain(stores)

    def train(self, config: C, run: Run, store: Store, plan: Plan[Any] | None = None) -> None:
        """Train everything that is not trained yet, predict, and write what stands beside the predictions."""
        from homeostat.data import prepared
        from homeostat.methods.crossfit import carry_out  # loads torch, which a description does not need

        with run.active():
            prepared.keep(run, store)
            carry_out(self.plan(config, run, store) if plan is None else plan, run)
            if self.finish is not None:
                self.finish(config, run, store)
