"""Each remedy that an alarm can ask for does what it says, and a run that was healed by it resumes bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from curve import SETTINGS, Pairs, make_task, model, squared_error
from homeostat.engine.fit import fit
from homeostat.engine.remedies import Treatment
from homeostat.engine.settings import Settings
from homeostat.engine.state import State, differences
from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.stiffness import Stiffness
from homeostat.ode import odeint
from homeostat.run import Run, create
from homeostat.task.randomness import seeded
from homeostat.task.task import Group, Loss, Task

AT = 12
HEAL = replace(SETTINGS, heal=True, epochs=6)


class Prescribes(AbstractGuard):
    """Asks for one remedy: at one step, or at the first event of another kind."""

    name = "prescribes"

    def __init__(self, remedy: Remedy, kind: str = "step") -> None:
        self._remedy, self._kind, self._is_told = remedy, kind, False

    def watch(self, event: Event) -> Alarm | None:
        is_due = event.kind == self._kind and (event.kind != "step" or event.step >= AT)
        if not is_due or self._is_told:
            return None
        self._is_told = True
        return Alarm(guard=self.name, level="warn", sentence="Step 12 is ill. Heal it.", remedy=self._remedy)

    @staticmethod
    def example() -> Iterator[Event]:
        return streams.healthy()

    def state_dict(self) -> dict[str, Any]:
        return {"is_told": self._is_told}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._is_told = state["is_told"]


class Flow(nn.Module):
    """A field whose speed is a parameter that grows, so that it becomes stiff, solved as its attributes say."""

    def __init__(self) -> None:
        super().__init__()
        with seeded(0, "model"):
            self.net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 4))
            self.head = nn.Linear(4, 1)
        self.speed = nn.Parameter(torch.tensor(1.0))
        self.how: dict[str, Any] = {"solver": "tsit5", "rtol": 1e-3, "atol": 1e-4}

    def forward(self, x: Tensor) -> Tensor:
        speed = self.speed.clamp(max=27.0) ** 2 / 10
        self.solved = odeint(lambda _, z: self.net(z) - speed * z, x, torch.tensor([0.0, 1.0]), **self.how)
        output: Tensor = self.head(self.solved.ys[:, -1])
        return output

    def loosen(self, factor: float) -> None:
        self.how |= {name: factor * self.how[name] for name in ("rtol", "atol")}

    def exchange(self, factor: float) -> None:
        self.how |= {"solver": "bosh3"}


def flowing() -> Task[Pairs]:
    flow = Flow()

    def loss(network: nn.Module, batch: Pairs) -> Loss:
        assert isinstance(network, Flow)
        plain = squared_error(network, batch)
        evaluations = network.solved.stats.evaluations.float().mean()
        return Loss(plain.total - 0.1 * network.speed, plain.terms, {"ode_evaluations": evaluations})

    return replace(
        make_task(flow, loss),
        groups=(Group("speed", rate=200.0),),  # of a rate of 0.005: one more at each step
        remedies={"loosen_tolerance": flow.loosen, "change_solver": flow.exchange},
    )


def plain() -> Task[Pairs]:
    return make_task(model(norm=False))


REMEDIES: dict[str, tuple[Remedy, Callable[[], Task[Pairs]], Settings]] = {
    "lower the rate": (Remedy(action="lower_lr", factor=0.5), plain, HEAL),
    "loosen the tolerance": (Remedy(action="loosen_tolerance", factor=100.0), flowing, HEAL),
    "change the solver": (Remedy(action="change_solver"), flowing, HEAL),
    "everything in fp32": (Remedy(action="precision"), plain, replace(HEAL, precision="bf16")),
    "one part in fp32": (Remedy(action="precision", region="4"), plain, replace(HEAL, precision="bf16")),
    "smaller pieces": (Remedy(action="smaller_pieces"), plain, HEAL),
}
each = pytest.mark.parametrize("name", REMEDIES)


def trained(name: str, folder: Path, kill_at: int | None = None, guard: AbstractGuard | None = None) -> State:
    remedy, make, settings = REMEDIES[name]
    task, steps = make(), {"n": 0}

    def dies(network: nn.Module, batch: Pairs) -> Loss:
        if torch.is_grad_enabled():
            steps["n"] += 1
            if steps["n"] == kill_at:
                raise KeyError("power cut")
        return task.loss(network, batch)

    settings = replace(settings, saving=replace(settings.saving, save_every=2))
    run = Run(folder) if folder.exists() else create(folder, {})
    return fit(replace(task, loss=dies), settings, run, [guard or Prescribes(remedy)])


@each
def test_a_remedy_changes_the_run_from_its_step_on(name: str, tmp_path: Path) -> None:
    remedy, make, settings = REMEDIES[name]
    healed = trained(name, tmp_path / "healed")
    (treatment,) = healed.treatments
    assert treatment.action == remedy.action
    unhealed = fit(make(), replace(settings, heal=False), create(tmp_path / "ill", {}), [Prescribes(remedy)])
    assert not unhealed.treatments
    assert differences(healed.snapshot()["model"], unhealed.snapshot()["model"]), "nothing was changed"


@each
@pytest.mark.parametrize("kill_at", [5, 15])
def test_a_run_healed_by_it_resumes_to_the_same_bits(name: str, kill_at: int, tmp_path: Path) -> None:
    whole = trained(name, tmp_path / "whole")
    with pytest.raises(KeyError):
        trained(name, tmp_path / "killed", kill_at)
    resumed = trained(name, tmp_path / "killed")
    assert differences(whole.snapshot(), resumed.snapshot()) == []


@each
def test_it_is_saved_as_plain_values(name: str, tmp_path: Path) -> None:
    state = trained(name, tmp_path / "run")
    saved = json.loads(json.dumps(state.snapshot()["remedies"]))
    assert tuple(map(Treatment.read, saved)) == state.treatments


def test_there_is_nothing_to_heal_before_the_first_step(tmp_path: Path) -> None:
    run = create(tmp_path / "run", {})
    fit(plain(), HEAL, run, [Prescribes(Remedy(action="lower_lr", factor=0.5), kind="start")])
    assert len(list(run.events("alarm"))) == 1
    assert not list(run.events("remedy"))


STIFF = "a field that becomes stiff"
LONG = replace(
    HEAL,
    epochs=24,
    evaluate_every=40,
    optim=replace(SETTINGS.optim, learning_rate=5e-3, clip=0.0),
    schedule=replace(SETTINGS.schedule, schedule="constant", warmup=0.0),
)


def test_a_stiff_field_gets_wider_tolerances_then_another_solver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once in a process, and again after a resume, to the same bits."""
    called: list[str] = []

    def make() -> Task[Pairs]:
        task = flowing()

        def noted(action: str) -> Callable[[float], None]:
            return lambda factor: (called.append(action), task.remedies[action](factor))[1]

        return replace(task, remedies={action: noted(action) for action in task.remedies})

    monkeypatch.setitem(REMEDIES, STIFF, (Remedy(action="change_solver"), make, LONG))
    whole = trained(STIFF, tmp_path / "whole", guard=Stiffness())
    assert (
        [treatment.action for treatment in whole.treatments]
        == called
        == ["loosen_tolerance", "change_solver"]
    )
    course = [float(step["ode_evaluations"]) for step in Run(tmp_path / "whole").events("step")]
    assert course[-1] < 0.85 * max(course)
    with pytest.raises(KeyError):
        trained(STIFF, tmp_path / "killed", kill_at=100, guard=Stiffness())
    called.clear()
    resumed = trained(STIFF, tmp_path / "killed", guard=Stiffness())
    assert called == ["loosen_tolerance", "change_solver"]
    assert differences(whole.snapshot(), resumed.snapshot()) == []


def test_the_same_alarms_advise_where_nothing_is_healed() -> None:
    guard = Stiffness()
    alarms = [alarm for event in Stiffness.example() if (alarm := guard.watch(event)) is not None]
    assert [str(alarm.remedy) for alarm in alarms] == ["loosen_tolerance(10)", "change_solver"]
