"""Read who died from a column: 0 and 1, yes and no, or the words of hospitals; the reading is told."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from homeostat.data.names import clean
from homeostat.data.table import MISSING_WORDS, MOST_UNREADABLE, Column, typed
from homeostat.errors import DataError

YES = ("1", "yes", "y", "true", "t")
NO = ("0", "no", "n", "false", "f")
DIED = ("dead", "died", "death", "deceased", "expired", "non-survivor", "nonsurvivor")
LIVED = ("alive", "survived", "survivor", "living", "lived", "discharged alive")
# A column of this name says who lived, and yes is then the other answer.
OPPOSITE = ("surviv", "alive", "lived")


def read(column: pl.Series, path: Path) -> tuple[pl.Series, dict[str, int]]:
    """1 died, 0 did not, null where not known; and the words that were read so, with their numbers."""
    is_opposite = any(word in column.name.casefold() for word in OPPOSITE)
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
        if is_opposite:
            raise DataError(_opposite(column.name, path))
        return typed(column, Column(name=column.name), path), {}
    text = column.cast(pl.String)
    plain_words = {word: clean(word).casefold() for word in text.drop_nulls().unique().to_list()}
    text = text.replace(plain_words)
    number = text.cast(pl.Float64, strict=False)
    plain = number.fill_nan(None)
    sizes = dict(text.filter(plain.is_null()).drop_nulls().value_counts().rows())
    words = {word for word in sizes if word not in MISSING_WORDS}
    codes = dict.fromkeys(words.intersection((*YES, *DIED)), 1.0)
    codes |= dict.fromkeys(words.intersection((*NO, *LIVED)), 0.0)
    strange = sorted(words - codes.keys())
    odd, written = sum(sizes[word] for word in strange), sum(sizes[word] for word in words) + plain.count()
    if odd > MOST_UNREADABLE * written:
        raise DataError(
            f"Column {column.name!r} of {path} holds {strange[0]!r} in {sizes[strange[0]]:,} rows; expected 0 or 1, "
            "yes or no, true or false, died or survived, dead or alive. Write one of these, or leave the unknown empty."
        )
    if is_opposite and (plain.count() or codes.keys() - set(DIED) - set(LIVED)):
        raise DataError(_opposite(column.name, path))
    counts = {
        f"rows with outcome {word!r}, read as {code:.0f} ({'died' if code else 'did not die'})": sizes[word]
        for word, code in sorted(codes.items())
    }
    if odd:
        counts[f"rows with an outcome that is no answer, such as {strange[0]!r}, kept as unknown"] = odd
    coded = (
        text.replace_strict(codes, default=None, return_dtype=pl.Float64)
        if codes
        else pl.Series([None] * len(text), dtype=pl.Float64)
    )
    return plain.fill_null(coded).alias(column.name), counts


def _opposite(name: str, path: Path) -> str:
    return (
        f"Column {name!r} of {path} says who lived; expected who died: 1, yes, true or died. Turn it around, or name "
        "another column with --outcome."
    )
