"""Read NIfTI volumes: the header is checked before a voxel is read, and the array is turned to one orientation (RAS).

Format: Cox RW et al. (2004), NIfTI-1; NIfTI-2 (2011). In RAS the first axis runs from left to right, the second from
back to front, the third from foot to head.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

import nibabel
import numpy as np
from nibabel import orientations

from homeostat.data import border
from homeostat.data.ragged import Array
from homeostat.errors import DataError

HEADER_BYTES = {348: 1, 540: 2}
"""The first number of a file says how long its header is, and so its version."""
MOST_HEADER_BYTES = 540
BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
MM = {1: 1000.0, 2: 1.0, 3: 1e-3}
"""Millimetres in the unit of length that a header declares; without one they are millimetres."""
LENGTH_BITS = 7
# From a cell organelle to a whole body in one voxel. Outside of it a header is damaged.
LEAST_MM, MOST_MM = 1e-5, 1e3
# Scanners round the two places where a header holds the voxel size in different ways.
SAME_SPACING = 0.01
LEAST_VOLUME = 1e-3
"""The least volume of a voxel whose sides have length one; below it two sides are parallel."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The header of a volume, checked: where its voxels are, and how they lie in the body."""

    path: Path
    stored: tuple[int, ...]
    """Voxels along the axes of the file."""
    dtype: np.dtype[Any]
    offset: int
    """First byte of the voxels."""
    scale: tuple[float, float] | None
    """Slope and intercept of the values; None where they stand as they are."""
    turn: Array | None
    """Axes and flips that lead to RAS, as nibabel writes them; None where nothing says how the volume lies."""
    orientation: str
    """Where the axes of the file lead to, such as LPS. Empty where nothing says so."""
    size: tuple[int, ...]
    """Voxels along the axes of RAS."""
    spacing_mm: tuple[float, ...]
    """Sides of a voxel along the axes of RAS."""
    oddities: tuple[str, ...] = ()
    """Plural phrases that name what the header leaves open."""

    @property
    def declared(self) -> int:
        """Bytes of the file, unpacked."""
        return self.offset + math.prod(self.stored) * self.dtype.itemsize


def head(path: Path) -> Head:
    """Read the header of one .nii or .nii.gz file, and compare it with the size of the file."""
    size = border.regular(path)
    with _opened(path) as stream:
        start = _at_most(stream, MOST_HEADER_BYTES)
    header = _header(start, path)
    stored, dtype, offset = _layout(header, path)
    facts = Head(
        path=path,
        stored=stored,
        dtype=dtype,
        offset=offset,
        scale=_scale(header, path),
        **_place(header, stored, path),
    )
    if _is_packed(path):
        border.expansion(path, facts.declared)
    elif size != facts.declared:
        raise _wrong_size(path, size, facts.declared)
    return facts


def voxels(facts: Head) -> Array:
    """Read the voxels behind a header, scaled and turned to RAS."""
    with _opened(facts.path) as stream:
        # One byte more than declared shows that there is more, and the end of a packed file holds its checksum.
        content = _at_most(stream, facts.declared + 1)
    if len(content) != facts.declared:
        raise _wrong_size(facts.path, len(content), facts.declared)
    values: Array = np.frombuffer(content, facts.dtype, offset=facts.offset).reshape(facts.stored, order="F")
    if facts.scale is not None:
        slope, intercept = facts.scale
        values = values.astype(np.float64) * slope + intercept
    if facts.turn is not None:
        values = orientations.apply_orientation(values, facts.turn)  # type: ignore[no-untyped-call]  # nibabel states no types
    return values


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacked where it is packed; damage that is met on reading becomes one sentence."""
    try:
        with path.open("rb") as stream:
            if _is_packed(path):
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    yield cast(IO[bytes], unpacked)
            else:
                yield stream
    except (EOFError, OSError, zlib.error) as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason}). It is damaged; export it again.") from error


def _is_packed(path: Path) -> bool:
    return path.name.endswith(".gz")


def _at_most(stream: IO[bytes], count: int) -> bytes:
    """Read up to so many bytes; a packed stream gives fewer at a time."""
    content = bytearray()
    while len(content) < count and (block := stream.read(min(count - len(content), 1 << 24))):
        content += block
    return bytes(content)


def _header(start: bytes, path: Path) -> Any:
    """The header, of either version and byte order."""
    lengths = [int.from_bytes(start[:4], order) for order in BYTE_ORDERS]
    version = next((HEADER_BYTES[length] for length in lengths if length in HEADER_BYTES), 0)
    held = next((length for length in lengths if length in HEADER_BYTES), 0)
    if not version or len(start) < held:
        raise DataError(
            f"{path} has no NIfTI header. Expected a .nii or .nii.gz file of version 1 or 2; export it again."
        )
    kind = nibabel.nifti1.Nifti1Header if version == 1 else nibabel.nifti2.Nifti2Header
    header = kind(start[:held], check=False)  # type: ignore[no-untyped-call]  # nibabel states no types
    magic = bytes(header["magic"])[:2]
    if magic == b"ni":
        raise DataError(
            f"{path} is one of a pair: its voxels are in another file (.img). Convert the pair to one .nii file."
        )
    if magic != b"n+":
        raise DataError(f"{path} has the magic {magic!r} in its header; expected NIfTI. Export it again.")
    return header


def _layout(header: Any, path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and first byte of the voxels."""
    axes = int(header["dim"][0])
    declared = tuple(int(side) for side in header["dim"][1 : 1 + max(min(axes, 7), 0)])
    # Some programs add axes of one voxel.
    shape = declared[:3] if all(side == 1 for side in declared[3:]) else declared
    if len(shape) != 3 or min(shape) < 1:
        raise DataError(f"{path} has shape {declared}; expected three axes with at least one voxel each.")
    try:
        dtype = header.get_data_dtype()
    except (nibabel.spatialimages.HeaderDataError, KeyError) as error:
        code = int(header["datatype"])
        raise DataError(f"{path} has voxels of an unknown type (code {code}). Export it again.") from error
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise DataError(
            f"{path} has voxels of type {dtype}; expected one whole or real number each, not colours or complex "
            "numbers. Export one number per voxel."
        )
    offset = float(header["vox_offset"])
    least = int(header["sizeof_hdr"])
    if not (math.isfinite(offset) and offset.is_integer() and offset >= least):
        raise DataError(f"{path} says that its voxels begin at byte {offset:g}; expected at least {least}.")
    return shape, dtype, int(offset)


def _wrong_size(path: Path, held: int, declared: int) -> DataError:
    more = "more than" if held > declared else f"{held:,} of"
    return DataError(
        f"{path} holds {more} the {declared:,} bytes that its header declares. It was cut off or changed. Export or "
        "download it again."
    )


def _scale(header: Any, path: Path) -> tuple[float, float] | None:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    # Zero and NaN are the format's ways to say that values stand as they are.
    if slope == 0 or math.isnan(slope) or (slope, intercept) == (1, 0):
        return None
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise DataError(f"{path} scales its values by {slope:g} and {intercept:g}; expected finite numbers.")
    return slope, intercept


def _place(header: Any, stored: tuple[int, ...], path: Path) -> dict[str, Any]:
    """How the axes of the file lie in the body: the later fields of a Head."""
    factor = MM.get(int(header["xyzt_units"]) & LENGTH_BITS, 1.0)
    pixdim = np.abs(np.asarray(header["pixdim"], np.float64)[1:4]) * factor
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        _check_spacing(pixdim, path)
        oddity = "volumes that do not say which side is left (no sform, no qform), kept as they lie"
        place = {"turn": None, "orientation": "", "size": stored}
        return {**place, "spacing_mm": _rounded(pixdim), "oddities": (oddity,)}
    try:
        matrix = np.asarray(header.get_best_affine(), np.float64)
    except (ValueError, nibabel.spatialimages.HeaderDataError, np.linalg.LinAlgError) as error:
        raise DataError(f"{path} has no usable orientation ({error}). Export it again.") from error
    length = np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
    spacing = length * factor
    _check_spacing(spacing, path)
    if abs(np.linalg.det(matrix[:3, :3] / length)) < LEAST_VOLUME:
        raise DataError(f"{path} has two axes that lie in one direction. Export it again.")
    turn = orientations.io_orientation(matrix)  # type: ignore[no-untyped-call]  # nibabel states no types
    places = np.argsort(turn[:, 0])
    odd = (np.abs(spacing - pixdim) > SAME_SPACING * spacing).any()
    return {
        "turn": turn,
        "orientation": "".join(orientations.aff2axcodes(matrix)),  # type: ignore[no-untyped-call]  # nibabel states no types
        "size": tuple(stored[place] for place in places),
        "spacing_mm": _rounded(spacing[places]),
        "oddities": (
            "volumes with two voxel sizes in their header (pixdim, matrix), that of the matrix taken",
        )
        if odd
        else (),
    }


def _check_spacing(spacing: Array, path: Path) -> None:
    if not (np.isfinite(spacing).all() and spacing.min() >= LEAST_MM and spacing.max() <= MOST_MM):
        raise DataError(
            f"{path} has voxels of {' x '.join(f'{side:g}' for side in spacing)} mm; expected {LEAST_MM:g} to "
            f"{MOST_MM:,.0f}. Its header is damaged, or names a wrong unit. Export it again."
        )


def _rounded(spacing: Array) -> tuple[float, ...]:
    """To a thousandth: below it lies the rounding of the header."""
    return tuple(float(f"{side:.4g}") for side in spacing)
