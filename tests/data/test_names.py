"""Laws of names: two that a reader cannot tell apart are one if it is known, and told if it is not."""

from __future__ import annotations

import polars as pl
import pytest

from homeostat.data.names import alike, clean, match, rename, renamed, skeleton
from homeostat.errors import DataError

KNOWN = ("HR", "Temp", "PaCO2", "pH", "Na", "K")
# How one name comes: case, blanks, zero-width and other invisible characters, wide and Cyrillic letters.
DISGUISES = {
    "lower": str.lower,
    "upper": str.upper,
    "blanks": lambda name: f"  {name} ",
    "no-break": lambda name: f"\u00a0{name}",
    "zero-width": lambda name: f"{name[0]}\u200b{name[1:]}\ufeff",
    "direction": lambda name: f"\u202e{name}",
    "escape": lambda name: f"\x1b{name}",
    "wide": lambda name: "".join(chr(ord(letter) + 0xFEE0) for letter in name),
    "cyrillic": lambda name: name.translate(str.maketrans("HTaeMpKCo", "НТаеМрКСо")),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize("name", KNOWN)
def test_a_known_name_is_found_in_any_disguise(name, disguise):
    assert match([disguise(name)], KNOWN) == {disguise(name): name}
    values, counts = renamed(pl.Series("v", [disguise(name), name, None]), KNOWN)
    assert values.to_list() == [name, name, None]
    assert sum(counts.values()) == int(disguise(name) != name)


@pytest.mark.parametrize("name", ["", "β-blocker", "Größe", "<b>", "a\x1b[31mb", "x\u200b", "  a \t b "])
def test_cleaning_twice_is_cleaning_once_and_leaves_nothing_unseen(name):
    assert clean(clean(name)) == clean(name)
    assert skeleton(clean(name)) == skeleton(name)
    assert clean(name).isprintable()


def test_unknown_names_keep_their_case_and_are_told_when_they_look_alike():
    values, counts = renamed(pl.Series("v", ["Foo", "foo", "foo ", "bar"]), KNOWN)
    assert values.to_list() == ["Foo", "foo", "foo", "bar"]
    assert counts == {
        "rows of 'foo ' read as foo": 1,
        "names that look alike and are kept apart: 'Foo', 'foo'": 2,
    }
    assert alike(["a", "b"]) == []


def test_a_name_that_could_be_two_is_neither():
    assert match(["ab"], ("AB", "Ab")) == {"ab": "ab"}


def test_columns_are_found_if_one_alone_is_meant():
    frame = pl.DataFrame({"Stay": ["a"], "VALUE ": ["1"], "other": ["2"]})
    table, counts = rename(frame, ("stay", "value", "time"), "x.csv")
    assert table.columns == ["stay", "value", "other"]
    assert set(counts) == {
        "column of x.csv read as 'stay': 'Stay'",
        "column of x.csv read as 'value': 'VALUE '",
    }
    both = pl.DataFrame({"Value": ["1"], "VALUE": ["2"]})
    with pytest.raises(DataError, match="x.csv has no column 'value', but 'Value' and 'VALUE'"):
        rename(both, ("value",), "x.csv")
    assert rename(both.rename({"Value": "value"}), ("value",), "x.csv")[1] == {}
