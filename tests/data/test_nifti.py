"""Laws of NIfTI volumes: any orientation gives one array, any damage one sentence, and a bomb is never unpacked."""

from __future__ import annotations

import gzip
import itertools
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel import orientations

from damage import damaged
from homeostat.data import border, nifti
from homeostat.errors import DataError

RANDOM = np.random.default_rng(0)
VOXELS = RANDOM.integers(0, 200, (3, 4, 5)).astype(np.int16)
SIDES_MM = (1.0, 2.0, 0.5)
# Three axes in any order, each in either direction: 48.
TURNS = [
    np.array([list(pair) for pair in zip(order, flips, strict=True)])
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def save(path: Path, values: np.ndarray = VOXELS, affine: np.ndarray | None = None) -> Path:
    matrix = np.diag([*SIDES_MM, 1.0]) if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(values, matrix), path)
    return path


def test_there_are_48_orientations() -> None:
    assert len({turn.tobytes() for turn in TURNS}) == 48


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: "".join(map(str, turn.ravel())))
def test_a_volume_in_any_orientation_gives_the_same_array(tmp_path: Path, turn: np.ndarray) -> None:
    image = nibabel.Nifti1Image(VOXELS, np.diag([*SIDES_MM, 1.0])).as_reoriented(turn)
    nibabel.save(image, tmp_path / "a.nii")
    head = nifti.head(tmp_path / "a.nii")
    np.testing.assert_array_equal(nifti.voxels(head), VOXELS)
    assert head.spacing_mm == SIDES_MM
    assert head.size == VOXELS.shape
    assert head.orientation == "".join(orientations.aff2axcodes(image.affine))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<f4", ">f8", "u8"])
def test_values_are_those_that_nibabel_reads(tmp_path: Path, name: str, kind, dtype: str) -> None:
    image = kind(VOXELS.astype(dtype), np.eye(4), dtype=np.dtype(dtype))
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / name)
    scaled = np.asarray(nibabel.load(tmp_path / name).dataobj)
    np.testing.assert_allclose(nifti.voxels(nifti.head(tmp_path / name)), scaled)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_any_changed_or_missing_byte_gives_a_sentence_or_an_array(tmp_path: Path, name: str) -> None:
    """In .nii.gz every changed voxel is noticed by the checksum."""
    path = save(tmp_path / name)
    whole, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(200):
        path.write_bytes(damaged(whole, random))
        # Any other error than this one fails the test.
        with suppress(DataError):
            values = nifti.voxels(nifti.head(path))
            if name.endswith(".gz"):
                np.testing.assert_array_equal(values, VOXELS)


def header_with(path: Path, **fields: object) -> Path:
    image = nibabel.Nifti1Image(VOXELS, np.eye(4))
    content = bytearray(save(path).read_bytes())
    header = image.header.copy()
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    header["sform_code"] = header["qform_code"] = 0
    for field, value in fields.items():
        header[field] = value
    content[:348] = header.binaryblock
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"magic": b"ni1"}, "another file"),
        ({"magic": b"xx"}, "expected NIfTI"),
        ({"datatype": 32}, "not colours or complex"),
        ({"datatype": 128}, "not colours or complex"),
        ({"datatype": 77}, "unknown type"),
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "that its header declares"),
        ({"dim": [3, 0, 4, 5, 1, 1, 1, 1]}, "three axes"),
        ({"dim": [2, 3, 20, 1, 1, 1, 1, 1]}, "three axes"),
        ({"dim": [4, 3, 2, 2, 5, 1, 1, 1]}, "three axes"),
        ({"dim": [-9, 3, 4, 5, 1, 1, 1, 1]}, "three axes"),
        ({"vox_offset": np.nan}, "begin at byte nan"),
        ({"vox_offset": 3}, "begin at byte 3"),
        ({"scl_slope": np.inf}, "scales its values"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "scales its values"),
        ({"pixdim": [1, 0, 1, 1, 0, 0, 0, 0]}, "voxels of 0 x 1 x 1 mm"),
        ({"pixdim": [1, np.nan, 1, 1, 0, 0, 0, 0]}, "voxels of nan"),
        ({"sform_code": 1, "srow_x": [1, 0, 0, 0], "srow_y": [1, 0, 0, 0], "srow_z": [0, 0, 1, 0]}, "mm"),
        (
            {"sform_code": 1, "srow_x": [1, 1, 0, 0], "srow_y": [0, 0, 0, 0], "srow_z": [0, 0, 1, 0]},
            "one direction",
        ),
        ({"qform_code": 1, "quatern_b": 5.0}, "orientation"),
    ],
)
def test_each_wrong_field_of_a_header_has_its_sentence(tmp_path: Path, fields, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        nifti.head(header_with(tmp_path / "a.nii", **fields))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    content = header_with(tmp_path / "a.nii", dim=[3, 2000, 2000, 2000, 1, 1, 1, 1]).read_bytes()
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="made to fill the memory"):
        nifti.head(path)
    # The header is honest, and more is packed behind it than it declares.
    path.write_bytes(gzip.compress(save(tmp_path / "b.nii").read_bytes() + bytes(border.HARMLESS_BYTES)))
    with pytest.raises(DataError, match="holds more than the"):
        nifti.voxels(nifti.head(path))


def test_a_header_in_metres_or_micrometres_gives_millimetres(tmp_path: Path) -> None:
    for unit, factor in ((1, 1000.0), (3, 1e-3)):
        head = nifti.head(
            header_with(tmp_path / "a.nii", xyzt_units=unit, pixdim=[1, 0.5, 0.5, 0.5, 0, 0, 0, 0])
        )
        np.testing.assert_allclose(head.spacing_mm, 0.5 * factor)


def test_what_a_header_leaves_open_is_named(tmp_path: Path) -> None:
    head = nifti.head(header_with(tmp_path / "a.nii"))
    assert head.orientation == ""
    assert "which side is left" in head.oddities[0]
