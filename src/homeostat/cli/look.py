"""Look at raw data before anything is prepared: layout, columns, units, oddities, and the line to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from homeostat import console
from homeostat.cli import flags
from homeostat.cli.guess import Guess, guess, long_form, time_unit
from homeostat.config import from_plain
from homeostat.data import border, survey
from homeostat.data.frame import load, table_files
from homeostat.data.names import skeleton
from homeostat.errors import ConfigError, DataError
from homeostat.recipes.battery import prepare as battery
from homeostat.recipes.battery.readers.tidy import Columns as CellColumns
from homeostat.recipes.cell import prepare as cell
from homeostat.recipes.cell.tidy import Columns as VolumeColumns
from homeostat.recipes.icu import challenge, doubt, tidy, units
from homeostat.recipes.icu.census import Treatment, total
from homeostat.recipes.icu.stays import Stays, check_static, check_values
from homeostat.recipes.icu.variables import SERIES, STATIC

DEFAULTS = {"icu": tidy.Columns(), "battery": CellColumns(), "cell": VolumeColumns()}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The data that is looked at."""

    file: tyro.conf.Positional[Path]
    """A table (.csv, .tsv, .parquet), or a folder with raw data."""
    long: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write a table with a column per variable into this file, with a row per observation."""
    json: bool = False
    """Print JSON."""


@dataclass(kw_only=True)
class Look:
    """Findings about the data, printed at the end as text or as JSON."""

    data: str
    layout: str = ""
    recipe: str = ""
    rows: int = 0
    columns: list[dict[str, Any]] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)
    next: str = ""


def run(words: Sequence[str]) -> None:
    """Run `data look FILE`."""
    options = flags.parse(
        Options, words, "homeostat data look", "Look at raw data, and say what to type next."
    )
    if not options.file.exists():
        raise ConfigError(f"There is nothing at {options.file}. Check the path.")
    look = look_at(options.file, options.long)
    if options.json:
        console.emit(asdict(look))
    else:
        show(look)


def look_at(path: Path, long: Path | None = None) -> Look:
    """Recognise a released data set by its files, or a table by its columns."""
    if path.is_dir() and (look := _released(path)) is not None:
        return look
    tables = table_files(path)
    if not tables:
        raise DataError(
            f"{path} holds no table (.csv, .tsv, .parquet) and no files of a layout that a recipe knows. Name the file."
        )
    frame = load(tables[0])
    columns = survey.survey(frame, tables[0])
    guessed = guess(frame, columns)
    look = Look(data=str(path), layout=guessed.layout, recipe=guessed.recipe, rows=len(frame))
    roles = {name: flag for flag, name in guessed.roles.items()}
    look.columns = [{**asdict(c), "range": c.range, "role": roles.get(c.name, "")} for c in columns]
    look.oddities += [f"The table seems to have no {what}." for what in guessed.missing]
    look.oddities += [f"Column {c.name!r} is empty." for c in columns if c.kind == "empty"]
    if len(tables) > 1:
        look.facts.append(f"The columns are those of {tables[0].name}, the first of {len(tables)} tables.")
    if guessed.layout.startswith("a row per time"):
        return _wide(path, long, look, frame, columns, guessed)
    if guessed.recipe == "icu" and "time" in guessed.roles:
        return _stays(path, look, guessed)
    if guessed.recipe and "--time" not in " ".join(guessed.missing):
        look.next = command(guessed, path, _extra(guessed))
    return look


def _released(path: Path) -> Look | None:
    layout = challenge.find(path)
    if layout.records:
        sets = ", ".join(sorted({group for group in layout.group if group})) or "none"
        facts = [f"{len(layout.records):,} stays; sets: {sets}; {len(layout.outcomes)} files of outcomes"]
        word = "train" if layout.outcomes else "data prepare"
        line = shlex.join(["homeostat", *word.split(), "icu", "--data", str(path)])
        return Look(data=str(path), layout="challenge", recipe="icu", facts=facts, next=line)
    for name, detect in (("battery", battery.detect), ("cell", cell.detect)):
        try:
            source = detect(path)
        except DataError:
            continue
        if source != "tidy":
            line = shlex.join(["homeostat", "train", name, "--data", str(path)])
            return Look(data=str(path), layout=source, recipe=name, next=line)
    return None


def command(guessed: Guess, path: Path, extra: Sequence[str] = (), word: str = "train") -> str:
    """The line to type, with a flag for each column that is called otherwise than by default."""
    defaults = DEFAULTS[guessed.recipe]
    words = ["homeostat", *word.split(), guessed.recipe, "--data", str(path)]
    for flag, name in guessed.roles.items():
        usual = getattr(defaults, flag)
        alike = guessed.recipe == "icu" and skeleton(usual) == skeleton(name)
        words += [] if name == usual or alike else [f"--{flag}", name]
    if guessed.recipe == "cell" and not guessed.roles.get("group"):
        words += ["--group", ""]
    return shlex.join([*words, *extra])


def _extra(guessed: Guess) -> list[str]:
    if guessed.recipe != "battery":
        return []
    unit = time_unit(guessed.roles["time"])
    return [] if unit == CellColumns().time_unit else ["--time-unit", unit]


def _wide(
    path: Path, long: Path | None, look: Look, frame: Any, columns: Sequence[survey.Column], guessed: Guess
) -> Look:
    if long is None:
        look.next = shlex.join(["homeostat", "data", "look", str(path), "--long", "LONG.parquet"])
        look.facts.append("A recipe reads a row per observation; --long writes that table.")
        return look
    if long.suffix not in (".parquet", ".csv"):
        raise ConfigError(
            f"--long {long} does not say what to write. Give it a name that ends in .parquet or .csv."
        )
    if long.exists():
        raise ConfigError(f"--long {long} exists already. Choose a new name.")
    table = long_form(frame, columns, guessed.roles)
    table.write_parquet(long) if long.suffix == ".parquet" else table.write_csv(long)
    after = look_at(long)
    after.facts.insert(0, f"Wrote {long} with {len(table):,} observations from {path}.")
    return after


def _stays(path: Path, look: Look, guessed: Guess) -> Look:
    """Read the stays as the recipe would, and say what it would say."""
    border.regular(table_files(path)[0])
    extra: list[str] = []
    try:
        stays = tidy.read(path, from_plain(tidy.Columns, dict(guessed.roles)))
    except DataError as error:
        unit = next((unit for unit in ("minutes", "seconds") if f"look like {unit}" in str(error)), "")
        if not unit:
            look.oddities.append(str(error))
            return look
        extra = ["--time-unit", unit]
        look.oddities.append(f"The times look like {unit}, not hours.")
        stays = tidy.read(path, from_plain(tidy.Columns, {**guessed.roles, "time_unit": unit}))
    wishes = _variables(stays, look)
    extra += ["--units", *wishes] if wishes else []
    died, known = int((stays.label == 1).sum()), int((stays.label == stays.label).sum())
    look.facts.append(
        f"{len(stays.stay):,} stays of {len(set(stays.subject)):,} subjects; outcome known in {known:,}, of these "
        f"{died:,} died"
    )
    look.oddities += [f"{count:,} {what}" for what, count in stays.counts.items() if count]
    if 0 < died < known:
        look.next = command(guessed, path, extra)
    else:
        look.oddities.append(
            "Training needs stays that died and stays that lived; these data can be prepared or predicted."
        )
        look.next = command(guessed, path, extra, "data prepare")
    return look


def _variables(stays: Stays, look: Look) -> list[str]:
    """Describe each variable, and return the units that it should be converted from."""
    treatment = Treatment()
    tallies = total([check_values(part, stays.variables, treatment)[1] for part in stays.observations])
    described = check_static(stays.static, stays.static_names, treatment)[1]
    wishes = []
    for name, tally in [*tallies.items(), *((n, t) for n, t in described.items() if n not in tallies)]:
        known, place = units.units(name), doubt.fitting_unit(name, tally, treatment)
        likely = ""
        if doubt.is_impossible(name, tally, treatment):
            likely = "" if place is None else known[place].name
        elif (unit := doubt.wrong_unit(name, tally, treatment)) is not None:
            likely = unit.name
        wishes += [f"{name}={likely}"] if likely else []
        row = {"variable": name, "values": tally.known, "stays": tally.stays, "outside": tally.outside}
        look.variables.append({**row, "unit": known[0].name if known else "", "looks_like": likely})
    chosen = Treatment(units=units.parse(wishes))
    for ranges, names in ((SERIES, stays.variables), (STATIC, stays.static_names)):
        parts = (
            [check_values(part, stays.variables, chosen)[1] for part in stays.observations]
            if names is stays.variables
            else [check_static(stays.static, stays.static_names, chosen)[1]]
        )
        try:
            doubt.refuse(total(parts), ranges, chosen)
        except DataError as error:
            look.oddities.append(f"Training would stop: {error}")
    return wishes


def show(look: Look) -> None:
    """Print a first table, then the oddities, then the line to type."""
    recipe = f" (recipe {look.recipe})" if look.recipe else ""
    rows = f"{look.rows:,} rows, {len(look.columns)} columns; " if look.columns else ""
    console.say(f"{look.data}: {rows}{look.layout}{recipe}\n")
    if look.columns:
        console.table(
            ("column", "kind", "empty", "distinct", "range or examples", "role"),
            [
                (
                    c["name"],
                    c["kind"],
                    f"{c['empty'] / max(c['rows'], 1):.1%}",
                    f"{c['distinct']:,}",
                    c["range"],
                    c["role"],
                )
                for c in look.columns
            ],
        )
    if look.variables:
        console.say()
        console.table(
            ("variable", "unit", "values", "stays", "impossible", "looks like"),
            [
                (
                    v["variable"],
                    v["unit"] or "not known",
                    f"{v['values']:,}",
                    f"{v['stays']:,}",
                    f"{v['outside']:,}",
                    v["looks_like"],
                )
                for v in look.variables
            ],
        )
    for sentence in ["", *look.facts]:
        console.say(sentence)
    if look.oddities:
        console.say("\nOdd:\n" + "\n".join(f"  {sentence}" for sentence in look.oddities))
    if look.next:
        console.say(f"\nNext: {look.next}")
