"""The battery recipe: three tasks on the ageing of cells. The data decide where the configuration does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from homeostat.audits.case import Case
from homeostat.data.store import Store
from homeostat.evaluate.predictions import Predictions
from homeostat.methods import crossfit
from homeostat.methods.method import Method, Plan, Table
from homeostat.methods.protocol import Protocol, Roster, Wish, choose
from homeostat.methods.scores import of_run
from homeostat.recipes.battery import forecast, health, life, prepare
from homeostat.recipes.battery.case import case_of
from homeostat.recipes.battery.config import PRESETS, Config
from homeostat.recipes.battery.inputs import REST, published
from homeostat.recipes.battery.simulate import simulate
from homeostat.recipes.battery.view import View, table
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run


@dataclass(frozen=True)
class Aim:
    """One task: what it reads from a store, what is trained on it, and how its predictions are written."""

    read: Callable[[Config, Store, bool], View]
    """(config, store, whether the cells are new) -> the view."""
    methods: Callable[[Config, View], Sequence[Method[View]]]
    table: Table[View]


LIVES = "cycle-life"
AIMS = {
    "soh": Aim(health.read, health.methods, table),
    "forecast": Aim(forecast.read, forecast.methods, table),
    LIVES: Aim(life.read, life.methods, life.table),
}


def plan(config: Config, run: Run, store: Store) -> Plan[View]:
    """The plan of the task: of the one in the configuration, or of the one that the data are made for."""
    task: str = config.task
    if task == "auto":
        task = LIVES if life.has_lives(store) else "soh"
    aim = AIMS[task]
    view = aim.read(config, store, False)
    protocol = protocol_of(config, store, view, is_life=task == LIVES)
    main, *others = aim.methods(config, view)
    derived = (view.cells.target, REST)
    return Plan(
        data=view,
        protocol=protocol,
        methods=(replace(main, selected=main.selected or selection(protocol)), *others),
        table=aim.table,
        seed=config.fit.seed,
        seeds=config.seeds,
        # New data may hold more columns, and no target to tell a disguise by: the run keeps its inputs.
        notes={"task": task, "inputs": [name for name in view.cells.names if name not in derived]},
    )


def protocol_of(config: Config, store: Store, view: View, *, is_life: bool) -> Protocol:
    """Cycle life takes the published split; other tasks leave out one cell, or group of cells, of up to 12."""
    cells, groups, parts = view.cells.cells, view.cells.groups, published(store)
    is_published = is_life or config.protocol == "official"
    roster = Roster(
        ids=cells,
        groups=groups,
        fingerprint=store.fingerprint,
        parts=[parts[cell] for cell in cells] if is_published else (),
        unit="cell" if groups == cells else "rig",
        has_groups=not is_life,
    )
    wish = Wish(
        name=config.protocol,
        seed=config.split_seed,
        folds=config.folds,
        spared=0,  # two or three training cells are too few to spare one for validation
        single="lives" if is_life else "split",
    )
    return choose(roster, wish, otherwise="by-subject")


def selection(protocol: Protocol) -> str:
    """How the weights of a network are chosen under a protocol."""
    if any(splits.valid for splits in protocol.splits.values()):
        return "lowest valid/rmse"
    return "lowest train/rmse: no cell is spared for validation"


def predict(config: Config, run: Run, store: Store) -> Predictions:
    """Predictions for new cells, of the task and from the inputs that the run decided on."""
    trained = run.kept(run.environment_file)
    known = {str(cell) for cell in store["cell"]}
    cells = tuple(cell for cell in config.cells if cell in known) or tuple(sorted(known))
    aim = AIMS[trained["task"]]
    view = aim.read(replace(config, cells=cells, inputs=tuple(trained["inputs"])), store, True)
    main, *_ = aim.methods(config, view)
    predictions = crossfit.predict(run, main, view, view.cells.cells, aim.table)
    if trained["task"] == "soh":
        health.warn_of_foreign(run, view)
    return predictions


def case(config: Config, run: Run, store: Store) -> Case:
    """The untrained latent ODE of the task that these data ask for."""
    return case_of(config, run, plan(config, run, store))


recipe = Recipe(
    name="battery",
    summary="Ageing of batteries: health of unseen cells, forecasts of it, and cycle life.",
    config=Config,
    blueprint=lambda config, raw: prepare.blueprint(raw, config.data),
    new_blueprint=lambda config, raw: prepare.blueprint(raw, config.data, needs_target=False),
    plan=plan,
    predict=predict,
    scores=partial(of_run, per_subject=True),
    simulate=simulate,
    case=case,
    presets=PRESETS,
)
