"""Read raw .npy and .npz files: plain numbers only, of the size that their headers declare, never a pickle."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from homeostat.data import border
from homeostat.data.ragged import Array
from homeostat.errors import DataError

# Booleans, whole numbers, real numbers and text. Objects are pickles, which run code; records are no arrays.
KINDS = "biufU"


def read_npy(path: Path) -> Array:
    """Read one array. The file holds exactly what its header declares."""
    size = border.regular(path)
    try:
        with path.open("rb") as stream:
            return _array(stream, size, path.name)
    except DataError:
        raise
    # Whatever the first wrong byte leads to: errors of tokenize, zlib, struct, zipfile, memory.
    except Exception as error:
        raise DataError(f"{path} cannot be read as .npy ({_reason(error)}). Export it again.") from error


def read_npz(path: Path) -> Mapping[str, Array]:
    """Read all arrays of an archive. Each is compared with its checksum."""
    border.regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            border.expansion(path, sum(member.file_size for member in members))
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names):
                raise DataError(f"{path} holds two arrays of one name. Export it again.")
            return {name: _member(archive, member, path) for name, member in zip(names, members, strict=True)}
    except DataError:
        raise
    # Whatever the first wrong byte leads to: errors of tokenize, zlib, struct, zipfile, memory.
    except Exception as error:
        raise DataError(
            f"{path} cannot be read as .npz ({_reason(error)}). Download or export it again."
        ) from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Array:
    with archive.open(member) as packed:
        # One byte more than declared is enough to see that the declaration is wrong, and the read checks the CRC.
        content = packed.read(member.file_size + 1)
    return _array(io.BytesIO(content), len(content), f"{path.name}: {member.filename}")


def _array(stream: IO[bytes], size: int, name: str) -> Array:
    shape, dtype, is_fortran = _header(stream)
    if dtype.kind not in KINDS:
        raise DataError(
            f"{name} holds values of type {dtype}; expected numbers or text. Export it without Python objects."
        )
    held, declared = size - stream.tell(), math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or held != declared:
        raise DataError(
            f"{name} has {held:,} bytes of values; its header declares {declared:,} (shape {shape}, {dtype}). "
            "It was cut off or changed. Export or download it again."
        )
    content = bytearray(declared)  # unlike bytes, an array of it can be written to
    stream.readinto(content)  # type: ignore[attr-defined]  # both kinds of stream have it
    values: Array = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")
    return values


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    return shape, dtype, is_fortran


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
