"""Compare names as a reader sees them: blanks, case, invisible and look-alike letters make no difference."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

import polars as pl

from homeostat.errors import DataError

# Cyrillic and Greek letters that look like Latin ones (Unicode TR39, confusables), small and large.
_LOOK = "АВЕКМНОРСТУХаеорсухіјѕԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανυ"
_LIKE = "ABEKMHOPCTYXaeopcyxijsdhqwABEZHIKMNOPTYXoavu"
_LATIN = str.maketrans(_LOOK, _LIKE)
# Control and format characters: line breaks, terminal escapes, zero-width blanks, direction marks.
_INVISIBLE = ("Cc", "Cf", "Co", "Cn")


def clean(name: str) -> str:
    """The name without invisible characters, blanks around it, and doubled blanks; wide letters become usual ones."""
    plain = unicodedata.normalize("NFKC", name)
    seen = "".join(
        " " if letter in "\t\n\r" else letter
        for letter in plain
        if letter in "\t\n\r" or unicodedata.category(letter) not in _INVISIBLE
    )
    return re.sub(r"\s+", " ", seen).strip()


def skeleton(name: str) -> str:
    """The letters of a name, as far as a reader can tell them apart."""
    return clean(name).translate(_LATIN).casefold().replace(" ", "")


def match(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """The name under which each is known. One that nobody knows keeps its clean form."""
    by_skeleton: dict[str, list[str]] = defaultdict(list)
    exact = set(known)
    for name in exact:
        by_skeleton[skeleton(name)].append(name)
    matches = {}
    for name in names:
        alike = by_skeleton.get(skeleton(name), [])
        matches[name] = name if name in exact else alike[0] if len(alike) == 1 else clean(name)
    return matches


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names that a reader cannot tell apart."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[skeleton(name)].add(name)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]


def rename(frame: pl.DataFrame, wanted: Iterable[str], file: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """The table with wanted columns under their names, where one column alone differs in case or blanks; counts."""
    new: dict[str, str] = {}
    for name in dict.fromkeys(wanted):
        if name in frame.columns:
            continue
        near = [held for held in frame.columns if skeleton(held) == skeleton(name)]
        if len(near) > 1:
            listed = " and ".join(map(repr, near))
            raise DataError(f"{file} has no column {name!r}, but {listed}. Rename the one that is meant.")
        if near:
            new[near[0]] = name
    counts = {f"column of {file} read as {name!r}: {held!r}": 1 for held, name in new.items()}
    return frame.rename(new), counts


def renamed(values: pl.Series, known: Iterable[str]) -> tuple[pl.Series, dict[str, int]]:
    """The names in a column as they are known, and how many rows each change concerns."""
    sizes: Mapping[str, int] = dict(values.drop_nulls().value_counts().rows())
    matches = match(sizes, known)
    changed = {name: target for name, target in matches.items() if name != target}
    counts = {f"rows of {name!r} read as {target}": sizes[name] for name, target in sorted(changed.items())}
    for group in alike(matches.values()):
        listed = ", ".join(map(repr, group))
        counts[f"names that look alike and are kept apart: {listed}"] = len(group)
    return values.replace(changed) if changed else values, counts
