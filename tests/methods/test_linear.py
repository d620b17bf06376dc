"""Laws of the linear yard-sticks: a line is found again, and a regression puts the likelier class first."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from homeostat.data.splits import Splits
from homeostat.methods.linear import Line, elastic_nets, logistic
from homeostat.methods.method import Lesson
from homeostat.run import create


@dataclass(frozen=True)
class Numbers:
    columns: dict[str, np.ndarray]

    def rows(self, ids):
        return np.array([int(name) for name in ids])


@pytest.fixture
def lesson() -> Lesson[Numbers]:
    draw = np.random.default_rng(0)
    columns = {"a": draw.normal(size=60), "b": draw.normal(3, 5, size=60)}
    names = tuple(map(str, range(60)))
    splits = Splits(train=names[:40], valid=(), test=names[40:], by="row", fingerprint="")
    return Lesson(data=Numbers(columns), splits=splits, seed=0)


def target(data, ids):
    return (2.5 + 0.2 * data.columns["a"] - 0.03 * data.columns["b"])[data.rows(ids)]


def test_a_line_recovers_a_line(lesson):
    everybody = tuple(map(str, range(60)))
    truth = target(lesson.data, everybody)
    line = Line.fit(lesson.data.columns, ("a", "b"), truth)
    np.testing.assert_allclose(line.predict(lesson.data.columns), truth, atol=0.01)


def test_elastic_nets_are_read_back_and_answer_in_their_own_unit(lesson, tmp_path: Path):
    method = elastic_nets(
        "nets",
        [("a", "b"), ("a", "b")],
        features=lambda data: data.columns,
        rows=Numbers.rows,
        targets=target,
        answer=lambda logs: 10**logs,
    )
    run, ids = create(tmp_path / "run", {}), lesson.splits.test
    outputs = method.train(lesson, run).answer(lesson.data, ids)
    np.testing.assert_allclose(outputs, 10 ** target(lesson.data, ids), rtol=0.05)
    assert method.load is not None
    np.testing.assert_array_equal(method.load(run).answer(lesson.data, ids), outputs)


def test_a_regression_ranks_by_its_columns(lesson, tmp_path: Path):
    method = logistic(
        "plain",
        columns=lambda data, ids: np.column_stack(list(data.columns.values()))[data.rows(ids)],
        targets=lambda data, ids: (data.columns["a"] > 0)[data.rows(ids)],
        strength=1.0,
    )
    answer = method.train(lesson, create(tmp_path / "run", {})).answer(lesson.data, lesson.splits.test)
    positive = lesson.data.columns["a"][40:] > 0
    assert answer[positive].mean() > 0.7 > 0.3 > answer[~positive].mean()
