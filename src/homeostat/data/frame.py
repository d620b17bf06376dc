"""Read a whole CSV, TSV or Parquet file as it is: text stays text, and a file that is no table is told why."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from homeostat.data import border
from homeostat.errors import DataError

FORMATS = (".csv", ".tsv", ".parquet")
# A wide table of clinical data has some hundreds of columns, one of gene counts ten thousand.
MOST_COLUMNS = 10_000
# A line of a table is below a kilobyte; without a line break in a megabyte the file is none.
LONGEST_LINE = 1 << 20
# Text in a cell is a name or a note. A quote that is never closed takes the rest of the file into one cell.
LONGEST_TEXT = 1 << 16
# The first bytes of files that a name ending in .csv sometimes hides, and polars would unpack without a limit.
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip (perhaps an Excel file)",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PAR1": "parquet",
    b"%PDF": "PDF",
}


def table_files(path: Path) -> list[Path]:
    """The file itself, or the tables of a folder."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.glob("*") if file.suffix in FORMATS)


def only_table(path: Path) -> Path:
    """The file itself, or the one table of a folder."""
    files = table_files(path)
    if len(files) != 1:
        raise DataError(
            f"{path} holds {len(files)} tables ({', '.join(FORMATS)}). Name the one to read with --data."
        )
    return files[0]


def load(path: Path, *, suffix: str | None = None) -> pl.DataFrame:
    """Read the whole file; text files as text, so that nothing is guessed."""
    suffix = suffix or path.suffix
    if suffix not in FORMATS:
        raise DataError(f"{path} is not one of {', '.join(FORMATS)}. Convert it to one of these.")
    size = border.regular(path)
    try:
        # An open file, and not its name: a name may hold a pattern, and its folder a partition.
        with path.open("rb") as stream:
            if suffix == ".parquet":
                return _parquet(stream, path)
            return _delimited(stream.read(), "\t" if suffix == ".tsv" else ",", path)
    except (OSError, MemoryError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path} ({size:,} bytes) cannot be read as {suffix[1:]} ({reason}). Check or export it again."
        ) from error


def _parquet(stream: io.BufferedReader, path: Path) -> pl.DataFrame:
    lazy = pl.scan_parquet(stream)
    schema = lazy.collect_schema()
    _check_names(list(schema), path)
    rows = int(lazy.select(pl.len()).collect().item())
    # Eight bytes for each value: what long runs of one value unpack to.
    border.expansion(path, 8 * rows * len(schema))
    stream.seek(0)
    return pl.read_parquet(stream)


def _delimited(content: bytes, separator: str, path: Path) -> pl.DataFrame:
    for mark, name in _PACKED.items():
        if content.startswith(mark):
            raise DataError(
                f"{path} is a {name} file, not {path.suffix[1:]}. Unpack it, or export it as text."
            )
    if b"\0" in content:
        raise DataError(
            f"{path} holds zero bytes: it is UTF-16 or no text at all. Save it as {path.suffix[1:]} in UTF-8."
        )
    _check_lines(content, path)
    content = content.removeprefix(b"\xef\xbb\xbf")
    frame = pl.read_csv(content, separator=separator, infer_schema=False, has_header=False, n_rows=1)
    names = [str(name) for name in frame.row(0)] if len(frame) else []
    _check_names(names, path)
    # As text: a guess from the first rows turns "007" into 7 and an empty column into nothing.
    frame = pl.read_csv(content, separator=separator, infer_schema=False)
    for name in frame.columns:
        longest = frame[name].str.len_bytes().max()
        if isinstance(longest, int) and longest > LONGEST_TEXT:
            row = int(frame[name].str.len_bytes().arg_max() or 0) + 1
            raise DataError(
                f"{path} has {longest:,} characters in column {name!r} of row {row:,}. A quote that is never closed "
                "takes the rest of a file into one cell. Close it, or export the file again."
            )
    return frame


def _check_lines(content: bytes, path: Path) -> None:
    """Refuse a text without line breaks before a parser makes columns or one cell of it."""
    start = 0
    while len(content) - start > LONGEST_LINE:
        # The last line break within reach; carriage returns alone end the lines of old spreadsheets.
        reach = start + LONGEST_LINE
        end = max(content.rfind(b"\n", start, reach), content.rfind(b"\r", start, reach))
        if end < 0:
            raise DataError(
                f"{path} has a line of more than {LONGEST_LINE:,} bytes after byte {start:,}. It is damaged, or no "
                "table. Export it again."
            )
        start = end + 1


def _check_names(names: Sequence[str], path: Path) -> None:
    if len(names) > MOST_COLUMNS:
        raise DataError(
            f"{path} has {len(names):,} columns; expected at most {MOST_COLUMNS:,}. Give a row to each observation, "
            "or keep the columns that are needed."
        )
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{path} has two columns {twice[0]!r}. Rename one of them.")
