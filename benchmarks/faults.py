"""The share of planted faults that is found, by its name and how soon, and of healthy runs that are accused.

Faults are planted in small systems that have a sound twin (tests/planted): those that audits can see are examined,
those that show in the course of a run are trained by `fit` under every guard. Beside it Lightning's own checks,
`detect_anomaly` and `EarlyStopping(check_finite=True)`, are given the same models, losses and batches.

    python benchmarks/faults.py [--seeds 3] [--quick] [--no-lightning]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

# The planted systems live beside the tests.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from homeostat.audits import AUDITS
from homeostat.audits.case import Case
from homeostat.audits.exam import examine
from homeostat.audits.given import Trial
from homeostat.data.batches import Batches
from homeostat.engine.fit import fit
from homeostat.engine.settings import Settings
from homeostat.errors import Halted, HomeostatError
from homeostat.guards import GUARDS, every, streams
from homeostat.guards.base import AbstractGuard
from homeostat.ode import SolverError
from homeostat.run import Run, create
from homeostat.task import vitals
from homeostat.task.task import Task
from planted.courses import COURSES as SMALL_COURSES
from planted.fault import Course, Session
from planted.guides import GUIDES
from planted.laws import LAWS as SMALL_LAWS
from planted.recipes import RECIPE_COURSES, RECIPE_LAWS

LAWS, COURSES = (*SMALL_LAWS, *RECIPE_LAWS), (*SMALL_COURSES, *RECIPE_COURSES)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The findings and alarms of one system."""

    name: str
    guide: str
    named: tuple[str, ...]
    causes: tuple[str, ...]
    delay: int | None = None
    halts: int = 0
    seconds: float = 0.0
    peer: bool | None = None

    @property
    def found(self) -> bool:
        return bool(self.named)

    @property
    def right(self) -> bool:
        return bool(set(self.named) & set(self.causes))


def by_audit(seed: int, is_ill: bool, folder: Path, with_peer: bool) -> list[Verdict]:
    """Every law that is broken, or holds."""
    verdicts = []
    for law in LAWS:
        began = time.perf_counter()
        case = law.make(seed, is_ill, folder / f"{law.name}-{seed}-{is_ill}")
        found = examine(case, AUDITS).findings
        # On an ill system, a law that could not be tried names nothing; on a sound one it is an accusation.
        failed = "The law could not be tried"
        named = tuple(each.audit for each in found if not (is_ill and each.what.startswith(failed)))
        seconds = time.perf_counter() - began
        peer = lightning_finds(case) if with_peer else None
        verdicts.append(
            Verdict(
                name=law.name, guide=law.guide, named=named, causes=law.causes, seconds=seconds, peer=peer
            )
        )
    return verdicts


def by_guard(course: Course, seed: int, is_ill: bool, folder: Path, with_peer: bool) -> Verdict:
    """Train it, and return what the guards say."""
    session = course.make(seed, is_ill)
    began = time.perf_counter()
    alarms = trained(session, folder / f"{course.name}-{seed}-{is_ill}")
    seconds = time.perf_counter() - began
    right = [event for event in alarms if event["guard"] in course.causes] or alarms
    return Verdict(
        name=course.name,
        guide=course.guide,
        named=tuple(dict.fromkeys(event["guard"] for event in alarms)),
        causes=course.causes,
        delay=int(right[0]["step"]) - session.onset if right else None,
        halts=sum(event["level"] == "halt" for event in alarms),
        seconds=seconds,
        peer=lightning_trains(course.make(seed, is_ill)) if with_peer else None,
    )


def trained(
    session: Session, folder: Path, guards: Sequence[AbstractGuard] | None = None
) -> list[dict[str, Any]]:
    run = create(folder, {"recipe": "planted"})
    # A halt has its alarm in the journal.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Halted):
        fit(session.task, session.settings, run, every() if guards is None else guards)
    return list(run.events("alarm"))


def replayed(guard: type[AbstractGuard]) -> Verdict:
    """Faults of the machine, for which no clock or disk is waited for: the guard hears its example."""
    alarms = [
        (event, alarm)
        for watching in [every()]
        for event in guard.example()
        for each in watching
        if (alarm := each.watch(event)) is not None
    ]
    named = tuple(dict.fromkeys(alarm.guard for _, alarm in alarms))
    right = [event.step for event, alarm in alarms if alarm.guard == guard.name]
    delay = right[0] - streams.ONSET if right else None
    return Verdict(name=f"example of {guard.name}", guide="", named=named, causes=(guard.name,), delay=delay)


MACHINE = ("pace", "stalled", "memory", "disk", "deadline")


def lightning_finds(case: Case) -> bool | None:
    """Train the case's own model for some steps under Lightning; None where there is nothing to train."""
    if not case.all(Trial):
        return None
    trial = case.one(Trial)
    batches = Batches(count=trial.count, size=min(16, trial.count), gather=trial.batch)
    task = Task(
        model=trial.model,
        batches=batches,
        loss=trial.loss,
        score=lambda model: {},
        select="",
        direction="min",
    )
    return lightning_trains(Session(task=task, settings=Settings(epochs=3)))


def lightning_trains(session: Session) -> bool | None:
    """Say whether Lightning stops the training because of what it sees; None if the model itself refuses to go on."""
    import lightning
    from lightning.pytorch.callbacks import EarlyStopping

    task, chosen = session.task, session.settings

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = task.model

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss = task.loss(self.inner, batch).total
            self.log("loss", loss, on_step=False, on_epoch=True, batch_size=task.batches.size)
            return loss

        def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
            return batch  # there is one device, and Lightning refuses to look into frozen dataclasses

        def configure_optimizers(self) -> torch.optim.Optimizer:
            optim = chosen.optim
            return torch.optim.AdamW(
                self.parameters(), lr=optim.learning_rate, weight_decay=optim.weight_decay
            )

    rows = [rows for _, (_, rows) in zip(range(len(task.batches)), task.batches.rows(0), strict=False)]
    gathered = [task.batches.batch(row, 0) for row in rows]
    loader: Any = DataLoader(gathered, batch_size=None)  # type: ignore[arg-type]  # a list is a data set to torch
    stop = EarlyStopping("loss", check_finite=True, patience=10**6, check_on_train_epoch_end=True)
    trainer = lightning.Trainer(
        max_epochs=min(chosen.epochs, 12),
        accelerator="cpu",
        detect_anomaly=True,
        callbacks=[stop],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=chosen.optim.clip or None,
    )
    try:
        trainer.fit(Module(), loader)
    except SolverError:
        return None
    except RuntimeError as error:
        return "nan" in str(error).lower() or "anomaly" in str(error).lower()
    return stop.stopped_epoch > 0 or "finite" in str(stop.stopping_reason_message or "").lower()


def healing(seeds: Sequence[int], folder: Path) -> list[bool]:
    """Say for each fault with a remedy whether the healed run ends within the healthy runs' interval of the score."""
    ended = []
    for course in (each for each in COURSES if each.heals):
        healthy = [
            best_score(course.make(seed, False), folder / f"h-{course.name}-{seed}") for seed in range(50, 55)
        ]
        for seed in seeds:
            session = course.make(seed, True)
            session = replace(session, settings=replace(session.settings, heal=True))
            run = folder / f"healed-{course.name}-{seed}"
            score = best_score(session, run)
            alone = best_score(course.make(seed, True), folder / f"ill-{course.name}-{seed}")
            twin = best_score(course.make(seed, False), folder / f"twin-{course.name}-{seed}")
            sign = 1 if session.task.direction == "max" else -1
            # Healthy runs of different seeds spread by this much; two deviations hold 95 % of them.
            least = sign * twin - 2 * float(np.std(healthy, ddof=1))
            done = [event["action"] for event in Run(run).events("remedy")]
            ended.append(bool(sign * score >= least))
            print(
                f"  {'healed' if ended[-1] else 'NOT   '} {course.name:42} healthy {twin:.3f}, ill {alone:.3f}, "
                f"healed {score:.3f} by {', '.join(done)}"
            )
    return ended


def best_score(session: Session, folder: Path) -> float:
    """The best score of a run, however it ended; NaN if it never came to one."""
    run = create(folder, {"recipe": "planted"})
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(HomeostatError):
        fit(session.task, session.settings, run, every())
    scores = [float(event[session.task.select]) for event in run.events("score")]
    chosen = max if session.task.direction == "max" else min
    finite = [score for score in scores if np.isfinite(score)]
    return chosen(finite) if finite else float("nan")


def cost(rounds: int) -> tuple[float, float]:
    """CPU seconds of a step of a small network, and of all that guards add to it: the least of each of many rounds.

    Measured apart, because their difference is smaller than what two equal runs differ by on a shared machine.
    """
    model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 1))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    x, y, events = torch.randn(64, 64), torch.randn(64, 1), list(streams.healthy())
    named = vitals.trainable(model)

    def step() -> None:
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()

    def look() -> None:
        vitals.look(named, vitals.copy_of(named))
        vitals.strayed(model, vitals.state_of(model))

    def hear() -> None:
        guards = every()
        for event in events:
            for guard in guards:
                guard.watch(event)

    step()
    plain, looks, heard = (least(work, rounds) for work in (step, look, hear))
    return plain, heard / len(events) + looks / 100  # an epoch and an evaluation each hundred steps


def least(work: Callable[[], None], rounds: int) -> float:
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def show(verdicts: Sequence[Verdict]) -> None:
    for each in verdicts:
        word = "right " if each.right else "found " if each.found else "MISSED"
        delay = "" if each.delay is None else f"{each.delay:4d} steps"
        peer = {None: "", True: "Lightning too", False: ""}[each.peer]
        print(f"  {word} {each.name:42} {each.guide:13} {delay:11} {', '.join(each.named)[:44]:44} {peer}")


def share(of: Sequence[bool]) -> str:
    return f"{sum(of)} of {len(of)} ({100 * sum(of) / max(len(of), 1):.0f} %)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--first-seed", type=int, default=1, help="thresholds were chosen while looking at seed 0"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one seed of faults, two of healthy twins, no cost"
    )
    parser.add_argument("--no-lightning", action="store_true")
    parser.add_argument("--no-healing", action="store_true")
    parser.add_argument(
        "--table", action="store_true", help="the guides' faults and what finds each; runs nothing"
    )
    chosen = parser.parse_args()
    if chosen.table:
        print(table())
        return
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")
    seeds = 1 if chosen.quick else chosen.seeds
    with tempfile.TemporaryDirectory() as scratch:
        first = chosen.first_seed
        bench(Path(scratch), range(first, first + seeds), not chosen.no_lightning)
        if not chosen.no_healing:
            print("Healing")
            healed = healing(range(first, first + seeds), Path(scratch))
            print(f"healed: {share(healed)} end within two deviations of the healthy score")
        if not chosen.quick:
            plain, added = cost(300)
            print(
                f"cost: {1e6 * added:.0f} us per step beside {1e6 * plain:.0f} us of a small network: "
                f"{100 * added / plain:.1f} %"
            )


def table() -> str:
    """Each fault of the guides: what is planted, and which guard or audit must name it."""
    causes = {each.name: each.causes for each in (*LAWS, *COURSES)}
    causes |= {f"example of {guard.name}": (guard.name,) for guard in GUARDS}
    lines = ["| guide | number | fault | planted as | found by |", "| --- | --- | --- | --- | --- |"]
    for fault in GUIDES:
        found = dict.fromkeys(cause for name in fault.planted for cause in causes[name])
        by = ", ".join(found) or (
            f"prevented: tests/{fault.prevented}" if fault.prevented else f"not: {fault.apart}"
        )
        lines.append(f"| {fault.guide} | {fault.number} | {fault.what} | {'; '.join(fault.planted)} | {by} |")
    return "\n".join(lines)


def bench(scratch: Path, seeds: range, with_peer: bool) -> None:
    audits, guards = [], []
    for seed in seeds:
        audits += by_audit(seed, True, scratch, with_peer and seed == seeds[0])
        guards += [
            by_guard(course, seed, True, scratch, with_peer and seed == seeds[0]) for course in COURSES
        ]
    machine = [replayed(guard) for guard in GUARDS if guard.name in MACHINE]
    print("Faults that audits see"), show(audits[: len(LAWS)])
    print("Faults that show in a run"), show(guards[: len(COURSES)])
    print("Faults of the machine, replayed"), show(machine)
    ill = [*audits, *guards, *machine]
    # Every healthy run has a seed of its own: the twins of some faults are the same system.
    count, turns = len(COURSES), range(max(len(seeds), 2))
    sound = [verdict for turn in turns for verdict in by_audit(100 + turn, False, scratch, False)]
    calm = [
        by_guard(course, 100 + turn * count + place, False, scratch, False)
        for turn in turns
        for place, course in enumerate(COURSES)
    ]
    print("Sound twins that were accused"), show([v for v in (*sound, *calm) if v.found])
    delays = sorted(v.delay for v in (*guards, *machine) if v.delay is not None and v.right)
    peers = [v.peer for v in ill if v.peer is not None]
    firsts = [v for v in guards if v.found]
    kinds = len(LAWS) + len(COURSES) + len(machine)
    named = sorted({word for v in ill for word in v.guide.split()})
    print(f"faults: {kinds} kinds ({', '.join(named)} guides), {len(seeds)} seeds, {len(ill)} systems")
    print(f"detected: {share([v.found for v in ill])}   right cause: {share([v.right for v in ill])}")
    print(f"the first alarm of a run is the right one: {share([v.named[0] in v.causes for v in firsts])}")
    print(
        f"delay of the right alarm: median {delays[len(delays) // 2]} steps, "
        f"90 % within {delays[int(0.9 * len(delays))]}"
    )
    print(
        f"healthy: {len(calm)} runs with {sum(len(v.named) for v in calm) / len(calm):.3f} warnings per run and "
        f"{sum(v.halts for v in calm)} halts; {len(sound)} sound cases with {sum(len(v.named) for v in sound)} findings"
    )
    if peers:
        ours = [v.found for v in ill if v.peer is not None]
        print(
            f"Lightning (detect_anomaly, check_finite): {share(peers)}; ours on the same systems: {share(ours)}"
        )
    worst = max(audits, key=lambda v: v.seconds)
    print(
        f"an exam takes {np.median([v.seconds for v in audits]):.2f} s (median), {worst.seconds:.2f} s at most"
    )


if __name__ == "__main__":
    main()
