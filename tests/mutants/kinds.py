"""Ways to damage a raw data set. Each draws its file, place and value at random, and says what it did."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

Random = np.random.Generator
TEXTS = (".csv", ".tsv", ".txt")
TABLES = (*TEXTS, ".parquet")
IDS = ("stay", "subject", "cell", "donor", "battery_id", "RecordID", "file", "variable", "Parameter", "split")
LABELS = ("outcome", "label", "soh", "In-hospital_death", "cycle_life", "capacity_ah")


@dataclass(frozen=True)
class Kind:
    """One way to damage; `change` returns an empty text where a data set offers nothing to it."""

    name: str
    change: Callable[[Path, Random], str]


def files(raw: Path, *endings: str) -> list[Path]:
    """The files of these kinds; those that only say what is true of simulated patients are read by nobody."""
    held = [path for path in sorted(raw.rglob("*")) if path.is_file() and path.parent.name != "truth"]
    return [path for path in held if not endings or path.name.endswith(endings)]


def drawn(raw: Path, random: Random, *endings: str) -> Path | None:
    held = files(raw, *endings)
    # The few tables decide more than each of the many stays, cells and scans.
    first = [path for path in held if path.parent == raw]
    if first and random.random() < 0.5:
        held = first
    return held[int(random.integers(len(held)))] if held else None


def one(random: Random, values: list) -> object:
    return values[int(random.integers(len(values)))]


# Bytes


def byte_flip(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    content = bytearray(path.read_bytes())
    flips = int(one(random, [1, 1, 1, 5, 50]))
    for _ in range(flips):
        content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)
    return f"{flips} bits of {path.name}"


def byte_truncate(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    content = path.read_bytes()
    path.write_bytes(content[: int(random.integers(len(content)))])
    return f"cut {path.name}"


def byte_insert(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    content, place = path.read_bytes(), int(random.integers(path.stat().st_size))
    path.write_bytes(content[:place] + random.bytes(int(one(random, [1, 7, 1000]))) + content[place:])
    return f"bytes into {path.name}"


def byte_repeat(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    content = path.read_bytes()
    start, length = int(random.integers(len(content))), int(random.integers(1, 4096))
    path.write_bytes(content[: start + length] + content[start:])
    return f"a block of {path.name} twice"


def byte_empty(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    path.write_bytes(b"")
    return f"emptied {path.name}"


def byte_random(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    path.write_bytes(random.bytes(int(one(random, [1, 348, 5000, 500_000]))))
    return f"noise for {path.name}"


# Kinds of files


def file_fifo(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    path.unlink()
    os.mkfifo(path)
    return f"pipe for {path.name}"


def file_folder(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    path.unlink()
    path.mkdir()
    return f"folder for {path.name}"


def file_link(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    outside = raw.parent / f"outside-{path.name}"
    path.rename(outside)
    target = one(random, ["/dev/zero", "/dev/random", "/etc/passwd", str(outside), path.name, "/nowhere"])
    path.symlink_to(str(target))
    return f"link {path.name} to {'outside' if str(target).startswith(str(raw.parent)) else target}"


def file_missing(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    path.unlink()
    return f"removed {path.name}"


def file_swap(raw: Path, random: Random) -> str:
    """One file in the place of another, as a slip of the mouse does."""
    one_path, other = drawn(raw, random), drawn(raw, random)
    other.write_bytes(one_path.read_bytes())
    return f"{one_path.name} over {other.name}" if one_path != other else ""


def file_closed(raw: Path, random: Random) -> str:
    if os.geteuid() == 0:  # to whom no file is closed
        return ""
    path = drawn(raw, random)
    path.chmod(0)
    return f"closed {path.name}"


def file_rename(raw: Path, random: Random) -> str:
    path = drawn(raw, random)
    word = one(
        random, ["\x1b[31mred", "<b>bold", "a" * 200, "new\nline", "\u0430\u0441t", "..", "-rf", "%s{0}", " "]
    )
    target = path.with_name(f"{word}{path.name}")
    path.rename(target)
    return f"renamed to {word!r}..."


# Text


def text_change(change: Callable[[str, str, Random], bytes | str]) -> Callable[[Path, Random], str]:
    def changed(raw: Path, random: Random) -> str:
        path = drawn(raw, random, *TEXTS)
        if path is None:
            return ""
        separator = "\t" if path.suffix == ".tsv" else ","
        content = change(path.read_text(), separator, random)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path.name

    return changed


def _quote(text: str, separator: str, random: Random) -> str:
    place = int(random.integers(len(text)))
    return text[:place] + '"' + text[place:]


def _long_line(text: str, separator: str, random: Random) -> str:
    return text + "x" * (2 << 20)


def _many_columns(text: str, separator: str, random: Random) -> str:
    lines = text.splitlines()
    more = separator.join(f"c{number}" for number in range(20_000))
    return "\n".join([f"{lines[0]}{separator}{more}", *lines[1:]])


def _duplicated_column(text: str, separator: str, random: Random) -> str:
    lines = text.splitlines()
    place = int(random.integers(len(lines[0].split(separator))))
    return "\n".join(f"{line}{separator}{(line.split(separator) + [''])[place]}" for line in lines)


def _column_name(change: Callable[[str], str]) -> Callable[[str, str, Random], str]:
    def renamed(text: str, separator: str, random: Random) -> str:
        head, _, rest = text.partition("\n")
        names = head.split(separator)
        place = int(random.integers(len(names)))
        names[place] = change(names[place])
        return separator.join(names) + "\n" + rest

    return renamed


def _ragged(text: str, separator: str, random: Random) -> str:
    lines = text.splitlines()
    place = int(random.integers(len(lines)))
    lines[place] = one(
        random, [lines[place] + separator * 3 + "9", lines[place].split(separator)[0], "", separator]
    )
    return "\n".join(lines)


TEXT = {
    "delimiter": lambda text, separator, random: text.replace(
        separator, str(one(random, [";", "|", " ", "\t,"]))
    ),
    "open quote": _quote,
    "utf-16": lambda text, separator, random: text.encode("utf-16"),
    "latin-1": lambda text, separator, random: text.replace("1", "é", 3).encode("latin-1"),
    "byte order mark": lambda text, separator, random: b"\xef\xbb\xbf" + text.encode(),
    "carriage returns": lambda text, separator, random: text.replace(
        "\n", str(one(random, ["\r", "\r\n", "\n\n"]))
    ),
    "long line": _long_line,
    "20,000 columns": _many_columns,
    "header only": lambda text, separator, random: text.partition("\n")[0] + str(one(random, ["", "\n"])),
    "no header": lambda text, separator, random: text.partition("\n")[2],
    "column twice": _duplicated_column,
    "column renamed": _column_name(lambda name: f"{name}_x"),
    "column in capitals": _column_name(str.swapcase),
    "column without a name": _column_name(lambda name: ""),
    "column with markup": _column_name(lambda name: f"<b>\x1b[31m{name}"),
    "ragged line": _ragged,
}

# Values in a table


def load(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    separator = "\t" if path.suffix == ".tsv" else ","
    return pl.read_csv(path, separator=separator, infer_schema=False)


def save(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")


def table_change(
    change: Callable[[pl.DataFrame, Random], tuple[pl.DataFrame, str]], *endings: str
) -> Callable[[Path, Random], str]:
    def changed(raw: Path, random: Random) -> str:
        path = drawn(raw, random, *(endings or TABLES))
        if path is None:
            return ""
        frame = load(path)
        if not len(frame):
            return ""
        frame, detail = change(frame, random)
        save(frame, path)
        return f"{path.name}: {detail}" if detail else ""

    return changed


def column_of(frame: pl.DataFrame, random: Random, names: tuple[str, ...] = ()) -> str:
    held = [name for name in frame.columns if not names or name in names]
    return str(one(random, held)) if held else ""


def rows_of(frame: pl.DataFrame, random: Random) -> pl.Series:
    """One row, some, most or all."""
    share = float(one(random, [0.0, 0.0, 0.03, 0.5, 1.0]))
    chosen = random.random(len(frame)) < share
    chosen[int(random.integers(len(frame)))] = True
    return pl.Series(chosen)


def put(frame: pl.DataFrame, name: str, rows: pl.Series, value: object) -> pl.DataFrame:
    """A value in some rows; the column takes the type that can hold it."""
    held = frame[name]
    if isinstance(value, str) or held.dtype == pl.String:
        held, new = held.cast(pl.String), pl.Series([str(value)] * len(frame), dtype=pl.String)
    else:
        held, new = held.cast(pl.Float64, strict=False), pl.Series([float(value)] * len(frame))  # type: ignore[arg-type]
    return frame.with_columns(pl.select(pl.when(rows).then(new).otherwise(held)).to_series().alias(name))


def cells(values: list[object], names: tuple[str, ...] = ()) -> Callable[..., tuple[pl.DataFrame, str]]:
    def change(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
        name = column_of(frame, random, names)
        if not name:
            return frame, ""
        value, rows = one(random, values), rows_of(frame, random)
        shown = repr(value) if len(repr(value)) < 30 else repr(value)[:20] + "..."
        return put(frame, name, rows, value), f"{shown} in {int(rows.sum())} of {len(frame)} rows of {name}"

    return change


def scaled(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name, factor = column_of(frame, random), float(one(random, [-1.0, 1e-3, 1e3, 1e30]))
    if name in IDS:
        return frame, ""
    number = frame[name].cast(pl.Float64, strict=False) * factor
    return frame.with_columns(number.alias(name)), f"{name} times {factor:g}"


def commas(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name = column_of(frame, random)
    text = frame[name].cast(pl.String).str.replace(".", ",", literal=True)
    return frame.with_columns(text.alias(name)), f"decimal commas in {name}"


def swapped(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    first, second = column_of(frame, random), column_of(frame, random)
    if first == second:
        return frame, ""
    names = {first: second, second: first}
    return frame.rename(names), f"{first} and {second} change names"


def shuffled(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    return frame[random.permutation(len(frame))], "rows in another order"


def repeated(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    rows = rows_of(frame, random)
    return pl.concat([frame, frame.filter(rows)]), f"{int(rows.sum())} rows twice"


def halved(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    return frame.filter(~rows_of(frame, random)), "rows removed"


def moved(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    """One row's id is that of another: a stay under two subjects, a volume under two donors."""
    name = column_of(frame, random, IDS)
    if not name:
        return frame, ""
    row, other = (int(random.integers(len(frame))) for _ in range(2))
    values = frame[name].to_list()
    if values[row] == values[other]:
        return frame, ""
    values[row] = values[other]
    return frame.with_columns(
        pl.Series(name, values, frame[name].dtype)
    ), f"one {name} is that of another row"


STRANGE_NAMES = [
    "NaN",
    "1_000",
    "--5",
    "1e5",
    "007",
    "null",
    "",
    " ",
    "<script>alert(1)</script>",
    "\x1b[2J\x1b[31m",
    "a\x00b",
    "line\nbreak",
    "\u0430\u0435",
    "\u202e",
    "x" * 5000,
    "x" * 100_000,
    "../../etc/passwd",
    "/etc/passwd",
    "=1+1",
    '"',
]

# Types of parquet columns


def retyped(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name = column_of(frame, random)
    values = frame[name]
    number = values.cast(pl.Float64, strict=False).fill_null(1.0).fill_nan(1.0).clip(-1e6, 1e6)
    kinds: dict[str, Callable[[], pl.Series]] = {
        "list": lambda: pl.Series([[value] for value in values.to_list()]),
        "struct": lambda: pl.Series([{"a": value} for value in values.to_list()]),
        "binary": lambda: values.cast(pl.String).cast(pl.Binary),
        "categorical": lambda: values.cast(pl.String).cast(pl.Categorical),
        "boolean": lambda: number > 0,
        "date": lambda: number.cast(pl.Int32).cast(pl.Date),
        "datetime": lambda: (number * 3.6e9).cast(pl.Int64).cast(pl.Datetime("us")),
        "time": lambda: (number.abs() * 1e6).cast(pl.Int64).cast(pl.Time),
        "duration": lambda: (number * 3.6e9).cast(pl.Int64).cast(pl.Duration("us")),
        "decimal": lambda: number.cast(pl.Decimal(20, 3)),
        "integer": lambda: number.cast(pl.Int64),
        "byte": lambda: number.clip(0, 255).cast(pl.UInt8),
        "float32": lambda: number.cast(pl.Float32),
        "text": lambda: values.cast(pl.String),
        "null": lambda: pl.Series([None] * len(values), dtype=pl.Null),
        "all null": lambda: pl.Series([None] * len(values), dtype=values.dtype),
        "array": lambda: pl.Series([[1.0, 2.0]] * len(values), dtype=pl.Array(pl.Float64, 2)),
    }
    kind = str(one(random, list(kinds)))
    return frame.with_columns(kinds[kind]().alias(name)), f"{name} as {kind}"


def renamed_column(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name = column_of(frame, random)
    new = str(one(random, [f"{name}_x", name.swapcase(), "", f"<b>\x1b[31m{name}", f"{name} "]))
    if new in frame.columns:
        return frame, ""
    return frame.rename({name: new}), f"{name} renamed to {new!r}"


def dropped_column(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name = column_of(frame, random)
    return frame.drop(name), f"without {name}"


# Arrays


def array_change(raw: Path, random: Random) -> str:
    """Change the array of a .npy or one array of a .npz."""
    path = drawn(raw, random, ".npy", ".npz")
    if path is None:
        return ""
    arrays = dict(np.load(path)) if path.suffix == ".npz" else {"": np.load(path)}
    name = str(one(random, list(arrays)))
    kind = str(one(random, list(ARRAYS)))
    changed = ARRAYS[kind](arrays[name], random)
    if isinstance(changed, np.ndarray):
        stream = io.BytesIO()
        np.lib.format.write_array(stream, changed, allow_pickle=True)
        changed = stream.getvalue()
    if path.suffix == ".npy":
        path.write_bytes(changed)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for other, values in arrays.items():
                stream = io.BytesIO()
                np.save(stream, values)
                archive.writestr(f"{other}.npy", changed if other == name else stream.getvalue())
    return f"{kind} in {path.name} {name}".strip()


def _header(values: np.ndarray, text: str) -> bytes:
    """An array behind another header."""
    head = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + values.tobytes()


def _some(value: float) -> Callable[[np.ndarray, Random], np.ndarray]:
    def change(values: np.ndarray, random: Random) -> np.ndarray:
        if values.dtype.kind not in "iuf":
            return values.astype("U9")
        changed = values.astype(np.float64)
        changed.reshape(-1)[random.integers(changed.size, size=int(random.integers(1, 9)))] = value
        return changed

    return change


def _descr(values: np.ndarray) -> str:
    return np.lib.format.dtype_to_descr(values.dtype)  # type: ignore[return-value]


ARRAYS: dict[str, Callable[[np.ndarray, Random], np.ndarray | bytes]] = {
    "objects": lambda values, random: np.array([{"a": 1}, None], dtype=object),
    "object copy": lambda values, random: values.astype(object),
    "records": lambda values, random: np.zeros(values.shape[:1], [("a", "i4"), ("b", "f8")]),
    "fortran order": lambda values, random: np.asfortranarray(values),
    "big endian": lambda values, random: values.astype(values.dtype.newbyteorder(">")),
    "float16": lambda values, random: values.astype("f2") if values.dtype.kind in "iuf" else values[:1],
    "float64": lambda values, random: values.astype("f8") if values.dtype.kind in "iuf" else values[:1],
    "int64": lambda values, random: values.astype("i8") if values.dtype.kind in "iuf" else values[:1],
    "complex": lambda values, random: np.ones(values.shape, complex),
    "booleans": lambda values, random: np.ones(values.shape, bool),
    "text": lambda values, random: values.astype("U8"),
    "bytes": lambda values, random: values.astype("S8"),
    "dates": lambda values, random: np.zeros(values.shape, "M8[s]"),
    "one axis more": lambda values, random: values[None],
    "one axis less": lambda values, random: values.reshape(-1),
    "scalar": lambda values, random: np.asarray(values.reshape(-1)[0]),
    "turned": lambda values, random: values.T,
    "no rows": lambda values, random: values[:0],
    "no columns": lambda values, random: values[..., :0],
    "fewer rows": lambda values, random: values[:-1],
    "more rows": lambda values, random: np.concatenate([values, values[:1]]),
    "zeros": lambda values, random: np.zeros_like(values),
    "NaN": _some(np.nan),
    "infinity": _some(np.inf),
    "1e300": _some(1e300),
    "-1e300": _some(-1e300),
    "negative": _some(-3.0),
    "half": _some(0.5),
    "two": _some(2.0),
    "large": _some(70_000.0),
    "huge shape": lambda values, random: _header(
        values, f"{{'descr': {_descr(values)!r}, 'fortran_order': False, 'shape': (1000000000, 64)}}"
    ),
    "negative shape": lambda values, random: _header(
        values, f"{{'descr': {_descr(values)!r}, 'fortran_order': False, 'shape': (-1, 4)}}"
    ),
    "endless header": lambda values, random: _header(values, "(" * 60_000),
    "code in the header": lambda values, random: _header(values, "__import__('os').getpid()"),
    "no array": lambda values, random: b"hello",
}

# Archives


def archive_change(raw: Path, random: Random) -> str:
    path = drawn(raw, random, ".npz")
    if path is None:
        return ""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    kind = str(
        one(
            random,
            ["bomb", "encrypted", "compression", "twice", "checksum", "size", "missing", "more", "rename"],
        )
    )
    first = next(iter(members))
    if kind in ("encrypted", "compression", "checksum", "size"):
        # Offsets in the central entry of a member: flags 8, method 10, checksum 16, unpacked size 24.
        place = content.rfind(b"PK\x01\x02")
        changed = bytearray(content)
        offset, value = {
            "encrypted": (8, b"\x01\x00"),
            "compression": (10, struct.pack("<H", int(one(random, [9, 12, 14, 93, 99, 5])))),
            "checksum": (16, b"\x12\x34\x56\x78"),
            "size": (24, struct.pack("<I", int(one(random, [0, 1, 1 << 20, (1 << 32) - 2])))),
        }[kind]
        changed[place + offset : place + offset + len(value)] = value
        path.write_bytes(changed)
        return f"{kind} in {path.name}"
    if kind == "missing":
        del members[first]
    if kind == "rename":
        members[f"../{first}"] = members.pop(first)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, member in members.items():
            archive.writestr(name, bytes(300 << 20) if kind == "bomb" and name == first else member)
        if kind == "more":
            archive.writestr("readme.txt", "hello")
    if kind == "twice":
        with zipfile.ZipFile(path, "a") as archive:
            archive.fp.seek(archive.start_dir)  # type: ignore[union-attr]
            info = zipfile.ZipInfo(first)
            archive.NameToInfo.pop(first)
            archive.writestr(info, members[first])
    return f"{kind} in {path.name}"


def gzip_change(raw: Path, random: Random) -> str:
    path = drawn(raw, random, ".gz")
    if path is None:
        return ""
    content = path.read_bytes()
    plain = gzip.decompress(content)
    kind = str(
        one(random, ["bomb", "checksum", "length", "tail", "second member", "plain", "twice packed", "cut"])
    )
    changed = {
        "bomb": lambda: gzip.compress(plain + bytes(300 << 20), 1),
        "checksum": lambda: content[:-8] + b"\x01\x02\x03\x04" + content[-4:],
        "length": lambda: content[:-4] + b"\x01\x02\x03\x04",
        "tail": lambda: content + b"tail",
        "second member": lambda: content + gzip.compress(b"more"),
        "plain": lambda: plain,
        "twice packed": lambda: gzip.compress(content),
        "cut": lambda: content[:-9],
    }[kind]()
    path.write_bytes(changed)
    return f"{kind} in {path.name}"


FIELDS = (
    "dim",
    "datatype",
    "bitpix",
    "pixdim",
    "vox_offset",
    "scl_slope",
    "scl_inter",
    "magic",
    "sform_code",
)
FIELDS += ("qform_code", "srow_x", "srow_z", "quatern_b", "xyzt_units", "sizeof_hdr")


def nifti_change(raw: Path, random: Random) -> str:
    """Set one field of a header to an extreme value."""
    path = drawn(raw, random, ".nii", ".nii.gz")
    if path is None:
        return ""
    import nibabel

    packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    name = str(one(random, list(FIELDS)))
    value = one(random, [0, 1, -1, 2, 3, 32, 128, 511, 1792, 30_000, np.nan, np.inf, 1e30, 0.5])
    with np.errstate(all="ignore"):
        if name == "magic":
            header["magic"] = str(one(random, ["ni1", "n+2", "", "xx"])).encode()
        elif header[name].ndim:
            changed = np.array(header[name], np.float64)
            changed[int(random.integers(changed.size))] = value
            header[name] = np.nan_to_num(changed) if header[name].dtype.kind in "iu" else changed
        else:
            value = 7 if header[name].dtype.kind in "iu" and not np.isfinite(value) else value  # type: ignore[call-overload]
            header[name] = np.asarray(value).astype(header[name].dtype)
    content[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))
    return f"{name} of {path.name} is {value}"


NUMBERS: list[object] = ["NaN", "inf", "-inf", "1e300", "-1e300", "1e38", "-5", "0", "-1", "99999"]
WORDS: list[object] = [
    "abc",
    "n/a",
    "",
    "3,5",
    "2024-01-31 10:00",
    "31.01.2024",
    "12:30",
    "<5",
    "> 200",
    "7 mg",
]
WORDS += ["1_000", "0x10", "\u0663", "1e", "--5"]

KINDS: tuple[Kind, ...] = (
    *(Kind(f"bytes: {name}", change) for name, change in {
        "flip": byte_flip, "cut": byte_truncate, "insert": byte_insert, "repeat": byte_repeat, "empty": byte_empty,
        "noise": byte_random}.items()),
    *(Kind(f"file: {name}", change) for name, change in {
        "pipe": file_fifo, "folder": file_folder, "link": file_link, "missing": file_missing, "swap": file_swap,
        "closed": file_closed, "name": file_rename}.items()),
    *(Kind(f"text: {name}", text_change(change)) for name, change in TEXT.items()),
    *(Kind(f"values: {name}", table_change(change)) for name, change in {
        "numbers": cells(NUMBERS), "more numbers": cells([float("nan"), float("inf"), 1e300, -1e300, -1.0, 0.0]),
        "words": cells(WORDS), "labels": cells([2, -1, "yes", "no", "true", "0.5", "", "dead"], LABELS),
        "names": cells(list(STRANGE_NAMES), IDS), "scale": scaled, "decimal comma": commas, "swapped columns": swapped,
        "order": shuffled, "twice": repeated, "fewer": halved, "id of another": moved, "column gone": dropped_column,
        "column name": renamed_column}.items()),
    *(Kind(f"types: {name}", table_change(retyped, ".parquet")) for name in ("parquet", "parquet again")),
    *(Kind(f"arrays: {name}", array_change) for name in ("one", "another", "third")),
    Kind("archive: zip", archive_change),
    Kind("archive: gzip", gzip_change),
    Kind("header: NIfTI", nifti_change),
)  # fmt: skip
