"""Each remedy that an alarm can ask for does what it says, and a run that was healed by it resumes bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from curve import SETTINGS, Pairs, make_task, model, squared_error
from homeostat.engine.fit import fit
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
    """Asks for one remedy at one step."""

    name = "prescribes"

    def __init__(self, remedy: Remedy) -> None:
        self._remedy, self._is_told = remedy, False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step" or event.step < AT or self._is_told:
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
        told: Tensor = self.head(self.solved.ys[:, -1])
        return told

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
    (note,) = healed.remedies
    assert note["action"] == remedy.action
    unhealed = fit(make(), replace(settings, heal=False), create(tmp_path / "ill", {}), [Prescribes(remedy)])
    assert not unhealed.remedies
    assert differences(healed.snapshot()["model"], unhealed.snapshot()["model"]), "nothing was changed"


@each
@pytest.mark.parametrize("kill_at", [5, 15])
def test_a_run_healed_by_it_resumes_to_the_same_bits(name: str, kill_at: int, tmp_path: Path) -> None:
    whole = trained(name, tmp_path / "whole")
    with pytest.raises(KeyError):
        trained(name, tmp_path / "killed", kill_at)
    resumed = trained(name, tmp_path / "killed")
    assert differences(whole.snapshot(), resumed.snapshot()) == []


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
    assert [note["action"] for note in whole.remedies] == called == ["loosen_tolerance", "change_solver"]
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
    told = [alarm for event in Stiffness.example() if (alarm := guard.watch(event)) is not None]
    assert [str(alarm.remedy) for alarm in told] == ["loosen_tolerance(10)", "change_solver"]
