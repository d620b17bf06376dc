"""Laws of ragged arrays: padding and taking equal a loop over rows, whatever the rows are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.data.ragged import Ragged, gather, padded_index
from homeostat.errors import DataError

lengths = st.lists(st.integers(0, 7), min_size=1, max_size=20)


def ragged_of(counts: list[int]) -> Ragged:
    total = np.cumsum([0, *counts])
    return Ragged.of(
        [np.arange(start, start + count) + 1.0 for start, count in zip(total, counts, strict=False)]
    )


@given(lengths, st.randoms())
def test_padding_equals_a_loop(counts, random):
    rows = ragged_of(counts)
    wanted = np.array([random.randrange(len(counts)) for _ in range(5)])
    values, mask = rows.pad(wanted, fill=-1)
    assert values.shape == mask.shape == (5, max(counts[row] for row in wanted))
    for row, line, real in zip(wanted, values, mask, strict=True):
        assert line[: counts[row]].tolist() == rows[row].tolist()
        assert real.tolist() == [True] * counts[row] + [False] * (len(line) - counts[row])
        assert (line[counts[row] :] == -1).all()


@given(lengths, st.randoms())
def test_taking_equals_a_loop(counts, random):
    rows = ragged_of(counts)
    wanted = np.array([random.randrange(len(counts)) for _ in range(5)])
    taken = rows.take(wanted)
    assert [row.tolist() for row in taken] == [rows[row].tolist() for row in wanted]


def test_arrays_that_share_offsets_share_an_index():
    time, value = ragged_of([2, 0, 3]), Ragged(np.eye(5), np.array([0, 2, 2, 5]))
    index, mask = padded_index(time.offsets, np.array([2, 0]))
    assert gather(time.values, index, mask).tolist() == [[3, 4, 5], [1, 2, 0]]
    assert gather(value.values, index, mask).shape == (2, 3, 5)


def test_a_fixed_width_pads_and_cuts():
    rows = ragged_of([1, 4])
    assert rows.pad(np.array([0, 1]), length=2)[0].tolist() == [[1, 0], [2, 3]]
    assert rows.pad(np.array([0]), length=3)[1].tolist() == [[True, False, False]]


def test_rows_that_are_all_empty_can_be_padded():
    values, mask = ragged_of([0, 0]).pad(np.array([0, 1, 1]))
    assert values.shape == mask.shape == (3, 0)
    assert Ragged.of([]).lengths.tolist() == []


def test_padding_hides_what_lies_beside_a_row():
    poisoned = Ragged(np.array([np.nan, 1.0]), np.array([0, 1, 2]))
    assert poisoned.pad(np.array([1]), length=2)[0].tolist() == [[1, 0]]


def test_a_row_beyond_the_end_is_an_error():
    with pytest.raises(IndexError, match="row 2 of 2 rows"):
        ragged_of([1, 1])[2]
    assert ragged_of([1, 2])[-1].tolist() == [2, 3]


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 2, 1, 3], []])
def test_offsets_that_do_not_cut_the_values_are_refused(offsets):
    with pytest.raises(DataError, match="Offsets do not cut 3 values into rows"):
        Ragged(np.zeros(3), np.array(offsets))
