"""A failure is a value that carries its sentence; require_ok turns it into an error that names the samples."""

from __future__ import annotations

import pytest
import torch

from homeostat.ode import Result, Solution, SolverError, Stats


def solution(results: list[int]) -> Solution:
    zeros = torch.zeros(len(results), dtype=torch.long)
    stats = Stats(
        evaluations=zeros,
        evaluations_backward=zeros,
        accepted=zeros,
        rejected=zeros,
        smallest_step=zeros.float(),
        largest_step=zeros.float(),
    )
    ys = torch.zeros(len(results), 2, 1)
    return Solution(ys=ys, stats=stats, result=torch.tensor(results), method="plain")


def test_a_good_solution_is_handed_back() -> None:
    good = solution([0, 0])
    assert good.require_ok() is good


@pytest.mark.parametrize("result", [result for result in Result if result])
def test_every_failure_says_what_to_do(result: Result) -> None:
    with pytest.raises(SolverError, match=r"Sample 1: ") as raised:
        solution([0, int(result)]).require_ok()
    assert result.sentence in str(raised.value)
    assert any(word in result.sentence for word in ("Raise", "Check", "loosen"))


def test_many_failures_are_named_by_reason_and_cut_short() -> None:
    with pytest.raises(SolverError) as raised:
        solution([1] * 10 + [0, 2]).require_ok()
    first, second = str(raised.value).splitlines()
    assert first.startswith("10 samples: 0, 1, 2, 3, 4, 5, 6, 7, ...: max_steps")
    assert second.startswith("Sample 11: the state")


def test_success_has_nothing_to_say() -> None:
    assert Result.OK.sentence == ""
