"""Seal a store folder: a seal lists every file with its size and checksum, and is written last."""

import json
import os
from pathlib import Path

from homeostat.data.fingerprint import digest_file
from homeostat.errors import DataError

SEAL = "seal.json"

Sealed = dict[str, tuple[int, str]]


def seal(folder: Path) -> None:
    """Force every file to the disk, then write the list. The checksum reads each file back, which proves the write."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    listed = {path.name: [sync(path), digest_file(path)] for path in files}
    (folder / SEAL).write_text(json.dumps(listed, indent=1))
    # A file that is synced can still lose its name: the folder is another file to the system (fsync(2), Linux).
    sync(folder / SEAL)
    sync_folder(folder)


def sync(path: Path) -> int:
    """Return the size of the file once it is safely on the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        return os.fstat(stream.fileno()).st_size


def sync_folder(folder: Path) -> None:
    """Make the names in the folder as durable as the files; Windows has no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_seal(folder: Path) -> Sealed:
    """Return size and checksum per file, after a check that every file is there with that size."""
    if not folder.is_dir():
        raise DataError(
            f"There is no store at {folder}. Prepare it: homeostat data prepare RECIPE --data PATH."
        )
    try:
        listed = json.loads((folder / SEAL).read_text())
        sealed: Sealed = {file: (int(size), str(digest)) for file, (size, digest) in listed.items()}
    except FileNotFoundError as error:
        raise DataError(
            f"{folder.name} has no {SEAL}: its preparation did not finish. Prepare it again."
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{folder.name}/{SEAL} is not readable ({error}). Prepare the store again."
        ) from error
    for file, (size, _) in sealed.items():
        path = folder / file
        actual = path.stat().st_size if path.is_file() else None
        if actual != size:
            state = "is missing" if actual is None else f"has {actual:,} bytes, {size:,} were sealed"
            raise DataError(f"{folder.name}/{file} {state}. Prepare the store again.")
    return sealed
