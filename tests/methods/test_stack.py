"""Laws of the stack: members predict out of fold, a kill changes no bit, a loaded stack answers as a trained one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from homeostat.data.batches import Batches, Indices
from homeostat.data.ragged import Array
from homeostat.data.splits import Splits
from homeostat.engine import checkpoint
from homeostat.engine.export import export
from homeostat.engine.settings import Settings
from homeostat.engine.state import differences
from homeostat.errors import ConfigError
from homeostat.evaluate import predictions
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.methods import crossfit, ensemble, fitted, outcome
from homeostat.methods import stack as stacks
from homeostat.methods.ladder import Ladder
from homeostat.methods.method import Lesson, Method, Plan
from homeostat.methods.network import network
from homeostat.methods.protocol import Protocol, Roster
from homeostat.methods.stack import stack
from homeostat.methods.yardstick import rule, trees
from homeostat.run import Run, create
from homeostat.task.randomness import seeded
from homeostat.task.task import Loss, Task
from rehearsal import interrupted_at

ROWS, FOLDS = 240, 3


@dataclass(frozen=True)
class Cases:
    """Rows with three inputs, two yes/no targets and the subject of each; two rows belong to one subject."""

    x: Array
    y: Array

    @property
    def ids(self) -> list[str]:
        return [f"r{row:03d}" for row in range(len(self.x))]

    def subjects(self, ids: Sequence[str]) -> list[str]:
        return [f"s{row // 2}" for row in self.rows(ids)]

    def rows(self, ids: Sequence[str]) -> Array:
        return np.array([int(name[1:]) for name in ids])


def cases(rows: int = ROWS, seed: int = 0) -> Cases:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3)).astype(np.float32)
    logits = np.stack([2 * x[:, 0] + x[:, 1], np.sin(2 * x[:, 2]) * 2], axis=1)
    y = (random.random((rows, 2)) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    y[random.random((rows, 2)) < 0.1] = np.nan
    return Cases(x, y)


def table(data: Cases, ids: Sequence[str], outputs: Array, part: Split) -> Predictions:
    return Predictions.build(
        "multilabel",
        part,
        ids=ids,
        subjects=data.subjects(ids),
        names=("one", "two"),
        targets=data.y[data.rows(ids)],
        outputs=outputs,
    )


def roster(data: Cases, ids: Sequence[str]) -> Roster:
    return Roster(ids=ids, groups=data.subjects(ids), fingerprint="cases")


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Loss:
    known = batch[1].isfinite()
    each = nn.functional.binary_cross_entropy_with_logits(
        model(batch[0]), batch[1].nan_to_num(), reduction="none"
    )
    return Loss((each * known).sum() / known.sum())


def task(lesson: Lesson[Cases]) -> Task[tuple[Tensor, Tensor]]:
    data, rows = lesson.data, lesson.data.rows(lesson.splits.train)
    judged = data.rows(lesson.splits.valid)

    def gather(places: Indices) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(data.x[rows[places]]), torch.from_numpy(data.y[rows[places]])

    def score(model: nn.Module) -> Mapping[str, float]:
        batch = torch.from_numpy(data.x[judged]), torch.from_numpy(data.y[judged])
        return {"valid/bce": float(cross_entropy(model, batch).total)}

    with seeded(lesson.seed, "model"):
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2))
    return Task(
        model=model,
        batches=Batches(count=len(rows), size=32, gather=gather, seed=lesson.seed),
        loss=cross_entropy,
        score=score,
        select="valid/bce",
        direction="min",
    )


def answer(model: nn.Module, data: Cases, ids: Sequence[str]) -> Array:
    with torch.no_grad():
        probabilities: Array = model(torch.from_numpy(data.x[data.rows(ids)])).sigmoid().numpy()
    return probabilities


def net(name: str = "net") -> Method[Cases]:
    return network(
        name,
        task=task,
        settings=lambda lesson, task: Settings(epochs=3, seed=lesson.seed, audits=False),
        answer=answer,
        blank=lambda run: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2)),
        selected="best valid/bce",
    )


def forest() -> Method[Cases]:
    """Trees that learn the first target and say one half of the second."""
    return trees(
        "forest",
        columns=lambda data, ids: data.x[data.rows(ids)],
        targets=lambda data, ids: data.y[data.rows(ids), 0],
        settings={"objective": "binary:logistic", "max_depth": 2, "subsample": 0.5},
        rounds=5,
        answer=lambda margins, numbers: np.stack(
            [1 / (1 + np.exp(-margins)), np.full(len(margins), 0.5)], axis=1
        ),
    )


def plan(data: Cases | None = None, seed: int = 0, seeds: int = 1) -> Plan[Cases]:
    held = cases() if data is None else data
    ids = held.ids
    splits = Splits(
        train=tuple(ids[:180]), valid=tuple(ids[180:]), test=(), by="subject", fingerprint="cases"
    )
    method = stack([net(), forest()], table=table, roster=roster, folds=FOLDS)
    return Plan(
        data=held,
        protocol=Protocol(name="official", reason="simulated", splits={"split": splits}),
        methods=(method,),
        table=table,
        seed=seed,
        seeds=seeds,
    )


def start(folder: Path) -> Run:
    return create(folder, {"recipe": "cases", "config": {}})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = start(tmp_path_factory.mktemp("stack") / "run")
    crossfit.carry_out(plan(), run)
    return run


def check_same(one: Run, other: Run) -> None:
    """Every checkpoint, every fitted value and every prediction of two runs has the same bits."""
    names = {path.relative_to(one.folder) for path in one.folder.rglob("step-*.ckpt")}
    assert names == {path.relative_to(other.folder) for path in other.folder.rglob("step-*.ckpt")}
    assert len(names) >= FOLDS
    for name in names:
        states = [checkpoint.read(run.folder / name)["state"] for run in (one, other)]
        assert differences(*states) == []
    values = [
        {str(path.relative_to(run.folder)): path.read_bytes() for path in run.folder.rglob("fitted/*.json")}
        for run in (one, other)
    ]
    assert len(values[0]) > FOLDS
    assert values[0] == values[1]
    names = {path.relative_to(one.folder) for path in one.folder.rglob("predictions/*.parquet")}
    assert names == {path.relative_to(other.folder) for path in other.folder.rglob("predictions/*.parquet")}
    for name in names:
        mine, theirs = (predictions.read(run.folder / name) for run in (one, other))
        assert mine.ids.tolist() == theirs.ids.tolist()
        assert np.array_equal(mine.outputs, theirs.outputs)


def test_every_training_row_is_held_out_once_with_its_subject() -> None:
    outer = plan()
    lesson = outer.children[0].lesson
    assert outer.main.inner is not None
    inner = outer.main.inner(lesson)
    held = [name for splits in inner.protocol.splits.values() for name in splits.valid]
    assert sorted(held) == sorted(lesson.splits.train)
    for child in inner.children:
        learnt = set(outer.data.subjects(child.lesson.splits.train))
        assert not learnt & set(outer.data.subjects(child.lesson.splits.valid))
        assert child.lesson.at_end
    seeds = [child.lesson.seed for child in inner.children]
    assert len(set(seeds)) == len(seeds) == 2 * FOLDS


def test_the_ladder_is_fitted_on_what_members_say_out_of_fold(trained: Run) -> None:
    place = trained.child("split.stack.0")
    kept = fitted.load(place, stacks.NAME)
    members = {}
    for name in ("net", "forest"):
        parts = [outcome.read_all(place.child(f"fold{fold}.{name}.0"))[0] for fold in range(FOLDS)]
        assert {part.selected for part in parts} == {""}, "nothing was chosen on the held-out rows"
        members[name] = ensemble.joined(parts)
    truth = members["net"].targets
    again = Ladder.fit(
        {name: each.outputs for name, each in members.items()}, truth, members["net"].subjects.tolist(), 0
    )
    assert Ladder.from_plain(kept["ladder"]) == again


def test_a_new_row_gets_the_mean_of_the_folds(trained: Run) -> None:
    data = cases()
    place = trained.child("split.stack.0")
    ladder = Ladder.from_plain(fitted.load(place, stacks.NAME)["ladder"])
    ids = data.ids[180:]
    methods = {"net": net(), "forest": forest()}
    members = {}
    for name, method in methods.items():
        assert method.load is not None
        folds = [method.load(place.child(f"fold{fold}.{name}.0")) for fold in range(FOLDS)]
        logits = [ensemble.logit(np.asarray(each.answer(data, ids), np.float64)) for each in folds]
        members[name] = ensemble.probability(np.mean(logits, axis=0))
    written = {each.model: each.outputs for each in outcome.read_all(trained)}
    assert set(written) == {"stack", "net", "forest"}
    assert np.array_equal(written["stack"], ladder.combine(members))
    assert all(np.array_equal(written[name], members[name]) for name in methods)


@pytest.mark.parametrize("event", [2, 20, 40])
def test_a_stack_that_is_interrupted_resumes_to_the_same_bits(
    trained: Run, tmp_path: Path, event: int
) -> None:
    run = start(tmp_path / "run")
    with interrupted_at(event):
        crossfit.carry_out(plan(), run)
    assert not run.predictions.exists()
    crossfit.carry_out(plan(), run)
    check_same(trained, run)


def test_a_stack_that_dies_before_its_ladder_is_kept_resumes_to_the_same_bits(
    trained: Run, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(trained.folder, tmp_path / "run"))
    place = run.child("split.stack.0")
    for folder in (place.fitted, place.predictions, run.predictions):
        shutil.rmtree(folder)
    place.status_file.unlink()
    crossfit.carry_out(plan(), run)
    check_same(trained, run)


def test_members_can_be_trained_one_by_one_in_any_order(trained: Run, tmp_path: Path) -> None:
    run = start(tmp_path / "run")
    leaves = list(plan().leaves())
    assert len(leaves) == 2 * FOLDS
    for path in reversed(leaves):
        crossfit.train_leaf(plan(), path, run)
    crossfit.carry_out(plan(), run)
    check_same(trained, run)


def test_a_trained_stack_answers_the_same_after_it_was_loaded(trained: Run, tmp_path: Path) -> None:
    """The whole run is copied to another folder, and asked about rows that it has not seen."""
    moved = Run(shutil.copytree(trained.folder, tmp_path / "moved"))
    new, main = cases(50, seed=1), plan().main
    answers = crossfit.predict(moved, main, new, new.ids, table)
    assert (answers.split, answers.model, answers.names) == ("new", "stack", ("one", "two"))
    place = trained.child("split.stack.0")
    with place.active():
        predictor = main.train(plan().children[0].lesson, place)
    assert np.array_equal(predictor.answer(new, new.ids), answers.outputs)


def test_the_weights_of_every_member_and_fold_are_exported(trained: Run, tmp_path: Path) -> None:
    moved = Run(shutil.copytree(trained.folder, tmp_path / "moved"))
    paths = {path.relative_to(moved.folder).as_posix() for path in export(moved) if path.suffix != ".json"}
    assert paths == {
        f"children/split.stack.0/children/fold{fold}.net.0/export/model.safetensors" for fold in range(FOLDS)
    }


def test_several_stacks_are_averaged_on_the_scale_of_logits(tmp_path: Path) -> None:
    run = start(tmp_path / "run")
    answers = crossfit.carry_out(plan(seeds=2), run)
    each = [a.predictions.outputs for a in answers.answers if a.model == "stack"]
    assert len(each) == 2
    assert not np.array_equal(*each)
    mean = ensemble.probability(np.mean([ensemble.logit(one) for one in each], axis=0))
    assert np.array_equal(answers.of("stack", "valid").outputs, mean)


def test_a_rule_is_no_member() -> None:
    with pytest.raises(ConfigError, match="rate is a rule"):
        stack(
            [net(), rule("rate", lambda lesson: lambda data, ids: np.zeros(len(ids)))],
            table=table,
            roster=roster,
            folds=3,
        )
