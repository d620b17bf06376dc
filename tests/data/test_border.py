"""Laws of the border: regular files inside the data folder, of a bounded size; everything else is one sentence."""

from __future__ import annotations

import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from damage import damaged
from homeostat.data import border
from homeostat.data.arrays import read_npy, read_npz
from homeostat.data.fingerprint import digest_files
from homeostat.data.frame import load
from homeostat.data.table import Column, read_table
from homeostat.errors import DataError


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [pipe, folder, device, loop])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.npy", "a.npz"])
def test_only_regular_files_are_opened(tmp_path: Path, make, name: str) -> None:
    make(tmp_path / name)
    reader = {"a.npy": read_npy, "a.npz": read_npz}.get(name, load)
    with pytest.raises(DataError, match=r"a\."):
        reader(tmp_path / name)
    with pytest.raises(DataError, match=r"a\."):
        digest_files([tmp_path / name])


def test_a_link_may_lead_about_inside_of_the_data_folder_but_not_out_of_it(tmp_path: Path) -> None:
    data, secret = tmp_path / "data", tmp_path / "secret.csv"
    data.mkdir()
    secret.write_text("x\n1\n")
    (data / "a.csv").write_text("x\n1\n")
    (data / "b.csv").symlink_to("a.csv")
    border.inside(data, [data / "a.csv", data / "b.csv"])
    (tmp_path / "link").symlink_to(data)
    border.inside(tmp_path / "link", [tmp_path / "link" / "b.csv"])
    (data / "c.csv").symlink_to(secret)
    with pytest.raises(DataError, match=r"c\.csv is a link to .*secret\.csv, outside of the data folder"):
        digest_files([data / "a.csv", data / "c.csv"])
    (data / "more").symlink_to(tmp_path)
    with pytest.raises(DataError, match="outside of the data folder"):
        digest_files([data / "a.csv", data / "more" / "secret.csv"])


@pytest.mark.parametrize("name", ["../secret.npy", "/etc/passwd", "a/../../secret.npy", "a\0.npy"])
def test_a_table_cannot_name_a_file_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="Expected a path inside"):
        border.named(tmp_path, name)


def npz(path: Path, content: bytes, declared: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", content)
    return path


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    values = {
        "a": np.arange(24.0).reshape(2, 3, 4),
        "b": np.asfortranarray(np.eye(3)),
        "c": np.array(["x", "yz"]),
    }
    np.savez_compressed(tmp_path / "all.npz", **values)
    for name, array in read_npz(tmp_path / "all.npz").items():
        np.testing.assert_array_equal(array, values[name])
        np.save(tmp_path / f"{name}.npy", values[name])
        np.testing.assert_array_equal(read_npy(tmp_path / f"{name}.npy"), values[name])
    read_npy(tmp_path / "a.npy")[0, 0, 0] = 7.0  # it can be written to


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = npz(tmp_path / "bomb.npz", bytes(border.HARMLESS_BYTES + 1))
    with pytest.raises(DataError, match="made to fill the memory"):
        read_npz(path)
    (tmp_path / "bomb.npy").write_bytes(npy(np.zeros(3)).replace(b"(3,)", b"(9,)"))
    with pytest.raises(DataError, match="its header declares 72"):
        read_npy(tmp_path / "bomb.npy")


def test_a_parquet_of_one_value_many_times_is_refused(tmp_path: Path) -> None:
    rows = border.HARMLESS_BYTES // 8 + 1
    pl.select(x=pl.repeat(1.0, rows)).write_parquet(tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 20
    with pytest.raises(DataError, match="made to fill the memory"):
        load(tmp_path / "bomb.parquet")


@pytest.mark.parametrize("kind", ["object", "record"])
def test_objects_are_refused(tmp_path: Path, kind: str) -> None:
    values = np.array([{}], object) if kind == "object" else np.zeros(2, [("a", "i4")])
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(DataError, match="expected numbers or text"):
        read_npy(tmp_path / "a.npy")
    npz(tmp_path / "a.npz", (tmp_path / "a.npy").read_bytes())
    with pytest.raises(DataError, match="expected numbers or text"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet"])
def test_any_single_byte_that_is_changed_or_missing_gives_a_sentence_or_an_array(
    tmp_path: Path, name: str
) -> None:
    """No traceback, no crash. In .npz every changed value is noticed by its checksum."""
    random = np.random.default_rng(0)
    values = np.arange(40.0)
    path = tmp_path / name
    if name == "a.parquet":
        pl.DataFrame({"x": values}).write_parquet(path)
    elif name == "a.npz":
        np.savez_compressed(path, x=values)
    else:
        np.save(path, values)
    whole = path.read_bytes()
    for _ in range(150):
        path.write_bytes(damaged(whole, random))
        # Any other error than this one fails the test.
        with suppress(DataError):
            if name == "a.parquet":
                read_table(path, [Column(name="x")])
            elif name == "a.npz":
                held = read_npz(path)
                assert all((array == values).all() for array in held.values())
            else:
                read_npy(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as csv"),
        (b"\n\n", "holds no usable row|cannot be read"),
        (b"x,y\n", "holds no usable row"),
        (b"x,y\n,\n,\n", "holds no usable row"),
        ("x,y\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"x,y\n1,\x002\n", "zero bytes"),
        (b"\x1f\x8b\x08\x00rest", "is a gzip file"),
        (b"PK\x03\x04rest", "zip"),
        (b"x," * 20_000 + b"y\n1\n", "columns; expected at most"),
        (b"x,y\n1," + b"2" * (2 << 20) + b"\n", "has a line of more than"),
        (b'x,y\n1,2\n3,"4\n' + b"5,6\n" * 40_000, "A quote that is never closed|cannot be read"),
        (b"x,y,x\n1,2,3\n", "two columns 'x'"),
        (b'x,y\n"1,5",2\n"2,5",2\n', "decimal comma"),
        (b"x,y\n2024-01-01,2\n2024-01-02,2\n", "look like dates"),
        (b"x,y\n<5,2\n<6,2\n", "limits of a measurement"),
        (b"x,y\n37 C,2\n38 C,2\n", "have a unit"),
        (b"x,y\n1_000,2\n--5,2\n", "are no numbers, such as '1_000'"),
    ],
)
def test_a_text_that_is_no_table_is_told_why(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_table(tmp_path / "a.csv", [Column(name="x"), Column(name="y", required=False)])


def test_numbers_that_a_store_cannot_hold_are_missing(tmp_path: Path) -> None:
    values = ["1", "inf", "-inf", "NaN", "1e300", " 2 ", "", "NA"] + ["3"] * 100
    pl.DataFrame({"x": values, "row": range(len(values))}).write_csv(tmp_path / "a.csv")
    table = read_table(tmp_path / "a.csv", [Column(name="x", required=False)])
    assert table.frame["x"].to_list()[:8] == [1.0, None, None, None, None, 2.0, None, None]


@pytest.mark.parametrize("names", [["NaN", "1_000", "--5", "007"], ["1e5", "inf", "True", "0x1"]])
def test_names_that_look_like_numbers_stay_text(tmp_path: Path, names: list[str]) -> None:
    frame = pl.DataFrame({"id": names})
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    for file in ("a.csv", "a.parquet"):
        assert read_table(tmp_path / file, [Column(name="id", kind="text")]).frame["id"].to_list() == names


def test_whole_numbers_that_became_real_ones_are_names_again(tmp_path: Path) -> None:
    pl.DataFrame({"id": [7.0, None, 12.0]}).write_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", [Column(name="id", kind="text")])
    assert table.frame["id"].to_list() == ["7", "12"]
    pl.DataFrame({"id": [7.5]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="real numbers such as 7.5"):
        read_table(tmp_path / "b.parquet", [Column(name="id", kind="text")])


@pytest.mark.parametrize(
    "values", [pl.Series([[1.0], [2.0]]), pl.Series([{"a": 1}, {"a": 2}]), pl.Series([b"a", b"b"])]
)
@pytest.mark.parametrize("kind", ["number", "text"])
def test_a_cell_holds_one_value(tmp_path: Path, values: pl.Series, kind) -> None:
    pl.DataFrame({"x": values}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="expected one"):
        read_table(tmp_path / "a.parquet", [Column(name="x", kind=kind)])


def test_dates_are_no_numbers(tmp_path: Path) -> None:
    pl.DataFrame({"x": ["2024-01-01", "2024-01-02"]}).with_columns(pl.col("x").str.to_date()).write_parquet(
        tmp_path / "a.parquet"
    )
    with pytest.raises(DataError, match="expected numbers"):
        read_table(tmp_path / "a.parquet", [Column(name="x")])
