"""The stays of a store as the models of one run see them: scaled by its training stays, named, and dealt to parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from homeostat.data.curves import Curves
from homeostat.data.ragged import Array
from homeostat.data.scaling import Scaler
from homeostat.data.splits import rows_of
from homeostat.data.store import Store
from homeostat.errors import DataError
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.methods import fitted
from homeostat.methods.protocol import Protocol, Roster, Wish, choose
from homeostat.recipes.icu import cohort as cohorts
from homeostat.recipes.icu.cohort import Cohort
from homeostat.recipes.icu.config import Config
from homeostat.run import Run

SETS = {"a": "train", "b": "valid", "c": "test"}
AGE_LIMITS = (50, 65, 80)
AGE_BANDS = ("below 50", "50 to 64", "65 to 79", "80 and above")
UNITS = {1: "coronary", 2: "cardiac surgery", 3: "medical", 4: "surgical"}
SEXES = {0: "female", 1: "male"}
TARGET = "death"
SCALES = "scales"
"""The fitted state of a run besides its models: the curves of observations and the scaler of descriptors."""


@dataclass(frozen=True, kw_only=True)
class View:
    """Stays by their names, normalised."""

    store: Store
    cohort: Cohort
    unlabelled: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of the pre-training, whose outcomes are not read."""

    def rows(self, ids: Sequence[str]) -> Array:
        """The rows of some stays."""
        return rows_of(self.cohort.ids, ids)


def protocol_of(config: Config, store: Store) -> Protocol:
    """The sets of the challenge where a and b are there, otherwise by subject with deaths dealt evenly."""
    ids, subjects, sets = ([str(value) for value in store[name]] for name in ("stay", "subject", "group"))
    roster = Roster(
        ids=ids,
        groups=subjects,
        fingerprint=store.fingerprint,
        parts=[SETS.get(name) for name in sets] if {"a", "b"} <= set(sets) else (),
        strata=[str(value) for value in store["label"]],
        has_groups=False,
    )
    return choose(roster, Wish(name=config.protocol, seed=config.split_seed), otherwise="by-subject")


def check_outcomes(store: Store, protocol: Protocol) -> None:
    """Stop before anything is trained where outcomes are unknown that training or its choices need."""
    label, stays = np.asarray(store["label"]), [str(stay) for stay in store["stay"]]
    for splits in protocol.splits.values():
        for part, stem in (("train", "training"), ("valid", "validation")):
            rows = splits.rows(stays, part)
            known = label[rows][np.isfinite(label[rows])]
            died, lived = int((known == 1).sum()), int((known == 0).sum())
            if len(rows) and not (died and lived):
                raise DataError(
                    f"Of {len(rows):,} {stem} stays {died:,} are known to have died and {lived:,} to have lived; both "
                    "are needed. Add the outcomes (Outcomes-*.txt, or the column that --outcome names), or choose "
                    "another split."
                )


def roster(view: View, ids: Sequence[str]) -> Roster:
    """Those of some stays whose outcome is known, with deaths apart from survivors."""
    cohort, rows = view.cohort, view.rows(ids)
    rows = rows[np.isfinite(cohort.label[rows])]
    return Roster(
        ids=[cohort.ids[row] for row in rows],
        groups=[cohort.subjects[row] for row in rows],
        fingerprint=view.store.fingerprint,
        strata=[str(cohort.label[row]) for row in rows],
    )


def training_view(config: Config, run: Run, store: Store, protocol: Protocol) -> View:
    """The stays of the store that a run learns from. Scales are fitted once, and kept in the run."""
    splits = next(iter(protocol.splits.values()))
    stays = [str(stay) for stay in store["stay"]]
    rows = np.sort(splits.rows(stays, "train"))
    if not fitted.has(run, SCALES):
        curves, static = cohorts.fit_curves(store, rows), cohorts.fit_static(store, rows)
        fitted.save(run, SCALES, {"curves": curves.to_dict(), "static": static.to_dict()})
    curves, static = scales(run)
    static.check_ids(splits.train)
    cohort = cohorts.standardise(cohorts.load(store, curves, static), rows)
    unlabelled = [splits.rows(stays, part) for part in config.pretrain_on.split("+")]
    return View(store=store, cohort=cohort, unlabelled=np.sort(np.concatenate(unlabelled)))


def new_view(run: Run, store: Store) -> View:
    """Stays that a run has not seen, scaled as its training stays were."""
    return View(store=store, cohort=cohorts.load(store, *scales(run)))


def scales(run: Run) -> tuple[Curves, Scaler]:
    """The curves and the scaler of a run."""
    kept = fitted.load(run, SCALES)
    return Curves.from_dict(kept["curves"]), Scaler.from_dict(kept["static"])


def table(view: View, ids: Sequence[str], outputs: Array, part: Split) -> Predictions:
    """The predictions of some stays, with the groups that a score is looked at by."""
    rows = view.rows(ids)
    return Predictions.build(
        "binary",
        part,
        ids=ids,
        subjects=[view.cohort.subjects[row] for row in rows],
        names=(TARGET,),
        targets=view.cohort.label[rows],
        outputs=outputs,
        groups=groups(view.store, rows),
    )


def groups(store: Store, rows: Array) -> dict[str, list[str]]:
    """Unit, age band and sex, as far as the data hold them."""
    names = list(store.meta["static_names"])
    static = np.asarray(store["static"])[rows]
    bands = {}
    if "ICUType" in names:
        bands["unit"] = [UNITS.get(kind, "unknown") for kind in static[:, names.index("ICUType")]]
    if "Age" in names:
        bands["age"] = [age_band(age) for age in static[:, names.index("Age")]]
    if "Gender" in names:
        bands["sex"] = [SEXES.get(value, "unknown") for value in static[:, names.index("Gender")]]
    return {name: values for name, values in bands.items() if set(values) != {"unknown"}}


def age_band(age: float) -> str:
    return "unknown" if np.isnan(age) else AGE_BANDS[sum(age >= limit for limit in AGE_LIMITS)]
