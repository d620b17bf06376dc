"""Laws of volumes: whole numbers only, one size by cutting and padding around the middle, masks with their depth."""

import numpy as np
import pytest

from homeostat.data.volume import DEPTH_STEPS, fitted, is_mask, read_stack, read_volume, with_depth
from homeostat.errors import DataError


def test_a_mask_is_kept_with_its_depth():
    mask = np.zeros((1, 7, 7, 7), np.uint8)
    mask[0, 1:6, 1:6, 1:6] = 255
    assert is_mask(mask)
    kept = with_depth(mask)
    np.testing.assert_array_equal(kept[:, 0], mask)
    assert kept[0, 1, 3, 3, 3] == 3 * DEPTH_STEPS
    assert kept[0, 1, 1, 3, 3] == DEPTH_STEPS
    assert kept[0, 1, 0, 0, 0] == 0
    mask[0, 0, 0, 0] = 7
    assert not is_mask(mask)


def test_values_beyond_whole_numbers_need_a_window(tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 2, 2), -1000.0))
    with pytest.raises(DataError, match="--window"):
        read_volume(tmp_path / "a.npy")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy", (-2000.0, 0.0)), 32768)


def test_cutting_and_padding_keep_the_middle():
    line = np.arange(1, 6)
    np.testing.assert_array_equal(fitted(line, (3,)), [2, 3, 4])
    np.testing.assert_array_equal(fitted(line, (9,)), [0, 0, 1, 2, 3, 4, 5, 0, 0])
    np.testing.assert_array_equal(fitted(line, (3,), (0.0,)), [0, 1, 2])
    np.testing.assert_array_equal(fitted(line, (3,), (9.0,)), [0, 0, 0])


def test_a_stack_takes_the_smallest_type_that_holds_it(tmp_path):
    for number, highest in enumerate((255, 256)):
        np.save(tmp_path / f"{number}.npy", np.full((2, 3, 4), highest))
    assert read_stack(tmp_path, ["0.npy"], sides=(), window=()).images.dtype == np.uint8
    both = read_stack(tmp_path, ["0.npy", "1.npy"], sides=(), window=()).images
    assert both.dtype == np.uint16
    assert both.shape == (2, 2, 3, 4)
