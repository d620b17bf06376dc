"""Laws of resampling: one object in voxels of any size is one object; a mask stays a mask; choices are stated."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from homeostat.data.resampling import resampled, wished
from homeostat.data.volume import read_stack
from homeostat.errors import DataError

FIELD_MM = 48.0


def blob(side_mm: float) -> np.ndarray:
    """A smooth object in a cube of 48 mm, in voxels of a size."""
    count = round(FIELD_MM / side_mm)
    place = (np.arange(count) - (count - 1) / 2) * side_mm
    x, y, z = np.meshgrid(place - 3, place + 2, place, indexing="ij")
    return np.rint(60_000 * np.exp(-(x**2 + y**2 / 2 + z**2) / (2 * 8.0**2))).astype(np.uint16)


@pytest.mark.parametrize(("fine", "coarse"), [(1.0, 2.0), (1.0, 1.5), (2.0, 3.0)])
def test_one_object_in_two_voxel_sizes_agrees(fine: float, coarse: float) -> None:
    there = resampled(blob(fine), [fine] * 3, [coarse] * 3).astype(float)
    back = resampled(blob(coarse), [coarse] * 3, [fine] * 3).astype(float)
    assert there.shape == blob(coarse).shape
    assert back.shape == blob(fine).shape
    # Linear interpolation errs by h^2 / 8 of the curvature, along each axis.
    tolerance = 3 * coarse**2 / 8 / 8.0**2 * 60_000
    assert np.abs(there - blob(coarse)).max() < tolerance
    assert np.abs(back - blob(fine)).max() < tolerance


def test_the_own_voxel_size_changes_nothing() -> None:
    np.testing.assert_array_equal(resampled(blob(2.0), [2.0] * 3, [2.0] * 3), blob(2.0))


def test_a_constant_stays_constant_and_a_mask_a_mask() -> None:
    grey = np.full((5, 6, 7), 1234, np.uint16)
    grey[0, 0, 0] = 1233
    assert set(np.unique(resampled(grey, [1, 1, 1], [0.7, 2.1, 1]))) <= {1233, 1234}
    mask = (blob(1.0) > 20_000).astype(np.uint16) * 7
    coarse = resampled(mask, [1.0] * 3, [2.0] * 3)
    assert set(np.unique(coarse)) == {0, 7}
    assert (coarse > 0).sum() * 8 == pytest.approx((mask > 0).sum(), rel=0.05)


@pytest.mark.parametrize("words", [("1", "2"), ("0",), ("-1",), ("nan",), ("loose",), ("1", "1", "x")])
def test_a_voxel_size_is_one_or_three_positive_numbers(words: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="--spacing strict"):
        wished(words)


def scans(folder: Path, sides_mm: list[float], codes: str = "RAS") -> list[str]:
    names = []
    for number, side in enumerate(sides_mm):
        image = nibabel.Nifti1Image(blob(side), np.diag([side] * 3 + [1.0]))
        axes = nibabel.orientations.axcodes2ornt(tuple(codes if number else "RAS"))
        nibabel.save(image.as_reoriented(axes), folder / f"{number}.nii.gz")
        names.append(f"{number}.nii.gz")
    return names


def test_mixed_voxel_sizes_come_to_the_median_of_the_training_volumes(tmp_path: Path) -> None:
    names = scans(tmp_path, [2.0, 3.0, 3.0, 2.0, 2.0])
    stack = read_stack(tmp_path, names, train=[False, True, True, False, False])
    assert stack.spacing_mm == (3.0, 3.0, 3.0)
    assert stack.images.shape == (5, 16, 16, 16)
    assert np.abs(stack.images.astype(float) - blob(3.0)).max() < 0.03 * 60_000
    (sentence,) = stack.counts
    assert sentence.startswith(
        "volumes resampled to 3 x 3 x 3 mm (the median of the training volumes, because"
    )
    assert stack.counts[sentence] == 3
    assert read_stack(tmp_path, names).spacing_mm == (2.0, 2.0, 2.0)
    assert read_stack(tmp_path, names, spacing=["4"]).images.shape[1:] == (12, 12, 12)


def test_strict_refuses_what_differs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1.nii.gz has voxels of 3 x 3 x 3 mm, 0.nii.gz of 2 x 2 x 2"):
        read_stack(tmp_path, scans(tmp_path, [2.0, 3.0]), spacing=["strict"])
    with pytest.raises(DataError, match="1.nii.gz is stored as LPS, 0.nii.gz as RAS"):
        read_stack(tmp_path, scans(tmp_path, [2.0, 2.0], "LPS"), spacing=["strict"])
    stack = read_stack(tmp_path, scans(tmp_path, [2.0, 2.0], "LPS"))
    assert stack.counts == {"volumes turned from LPS to RAS": 1}
    np.testing.assert_array_equal(stack.images[1], stack.images[0])


def test_npy_has_no_voxel_size(tmp_path: Path) -> None:
    names = [*scans(tmp_path, [2.0]), "a.npy"]
    np.save(tmp_path / "a.npy", blob(2.0))
    stack = read_stack(tmp_path, names)
    assert stack.spacing_mm == ()
    assert stack.counts == {"volumes in .npy, which holds no voxel size, taken as they are": 1}
    with pytest.raises(DataError, match="holds no voxel size"):
        read_stack(tmp_path, ["a.npy"], spacing=["1"])


def test_constant_and_missing_volumes_are_named(tmp_path: Path) -> None:
    names = scans(tmp_path, [2.0])
    np.save(tmp_path / "flat.npy", np.full((24, 24, 24), 7))
    counts = read_stack(tmp_path, [*names, "flat.npy"]).counts
    assert counts["volumes with one value everywhere, kept (flat.npy)"] == 1
    with pytest.raises(DataError, match=r"2 of 3 volumes that the table names are not in .*: x.nii, y.npy"):
        read_stack(tmp_path, [*names, "x.nii", "y.npy"])
