"""Times are checked once, at the border; what passes is monotone, finite and starts where y0 lives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from homeostat.ode.times import read_times

Y0 = torch.zeros(2, 3)


def test_one_row_of_times_serves_every_sample() -> None:
    times = read_times(torch.tensor([0.0, 1.0, 3.0]), Y0, None)
    assert times.t.tolist() == [[0, 1, 3], [0, 1, 3]]
    assert times.start.tolist() == [0, 0]
    assert times.end.tolist() == [3, 3]
    assert bool(times.mask.all())


def test_every_sample_has_its_own_direction() -> None:
    t = torch.tensor([[0.0, 1.0], [5.0, 2.0]])
    assert read_times(t, Y0, None).direction.tolist() == [1, -1]


def test_masked_times_repeat_the_one_before_whatever_they_held() -> None:
    t = torch.tensor([[0.0, torch.nan, 2.0, -9.0], [1.0, 2.0, torch.inf, 4.0]])
    mask = torch.tensor([[True, False, True, False], [True, True, False, True]])
    times = read_times(t, Y0, mask)
    assert times.t.tolist() == [[0, 0, 2, 2], [1, 2, 2, 4]]
    assert times.end.tolist() == [2, 4]


def test_repeated_times_are_times() -> None:
    t = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert torch.equal(read_times(t, Y0, None).t[0], t.double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_time_is_double_inside_and_the_field_s_own_outside(dtype: torch.dtype) -> None:
    times = read_times(torch.tensor([0.0, 1.0], dtype=dtype), Y0, None)
    assert times.t.dtype == torch.double
    assert times.dtype == dtype
    assert read_times(torch.tensor([0.0, 1.0], dtype=dtype), Y0.double(), None).dtype == torch.double


def test_times_that_turn_round_are_named_with_their_sample() -> None:
    t = torch.tensor([[0.0, 1.0, 2.0], [0.0, 3.0, 2.5]])
    with pytest.raises(
        ValueError, match=r"Times of sample 1 turn round: 3 is followed by 2\.5\. Sort each row"
    ):
        read_times(t, Y0, None)


def test_falling_times_that_rise_are_named_too() -> None:
    with pytest.raises(ValueError, match="sample 0 turn round: 1 is followed by 4"):
        read_times(torch.tensor([3.0, 3.0, 1.0, 4.0]), Y0, None)


def test_a_time_that_is_not_finite_is_named_with_its_place() -> None:
    t = torch.tensor([[0.0, 1.0, 2.0], [0.0, torch.nan, 2.5]])
    with pytest.raises(ValueError, match=r"t\[1, 1\] is nan; times must be finite, or masked"):
        read_times(t, Y0, None)


@pytest.mark.parametrize("dtype", [torch.long, torch.float16, torch.bfloat16])
def test_times_of_a_dtype_too_coarse_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"t has dtype torch\.\w+; times must be float32 or float64"):
        read_times(torch.tensor([0, 1]).to(dtype), Y0, None)


def test_times_that_are_not_a_tensor_are_refused() -> None:
    with pytest.raises(TypeError, match="t is list; times must be a tensor"):
        read_times([0.0, 1.0], Y0, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "t", [torch.tensor(1.0), torch.tensor([1.0]), torch.zeros(2, 2, 2), torch.zeros(2, 1)]
)
def test_fewer_than_two_times_are_refused(t: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected \(T,\) or \(batch, T\) with at least two times"):
        read_times(t, Y0, None)


def test_rows_for_another_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="t has 3 rows but y0 has 2 samples; give each sample its own row"):
        read_times(torch.zeros(3, 2), Y0, None)


@pytest.mark.parametrize(
    "mask",
    [torch.ones(2, 3), torch.ones(2, 4, dtype=torch.bool), torch.ones(3, 3, dtype=torch.bool)],
    ids=["of floats", "too long", "of another batch"],
)
def test_a_mask_that_does_not_fit_is_refused(mask: Tensor) -> None:
    with pytest.raises(ValueError, match=r"mask has shape .* expected bool of \(2, 3\)"):
        read_times(torch.tensor([0.0, 1.0, 2.0]), Y0, mask)


def test_a_hidden_start_is_refused() -> None:
    mask = torch.tensor([[True, True], [False, True]])
    with pytest.raises(
        ValueError, match="mask hides the first time of sample 1, but y0 is the state at the first"
    ):
        read_times(torch.tensor([0.0, 1.0]), Y0, mask)


def test_gradients_of_masked_times_go_to_the_time_that_stands_in_for_them() -> None:
    t = torch.tensor([[0.0, 1.0, 7.0]], requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    read_times(t, Y0[:1], mask).t.sum().backward()
    assert t.grad is not None
    assert t.grad.tolist() == [[1, 2, 0]]
