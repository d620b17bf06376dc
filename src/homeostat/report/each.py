"""Show each group (each donor, each hospital) or each seed scored alone: the main result where subjects are few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeostat.report import chart, tables
from homeostat.report.collect import Collected
from homeostat.report.forest import Scale, axis, whisker
from homeostat.report.layout import section
from homeostat.report.words import count, escape, label, number, short

SEED = "seed"
_KEY = "each "
_COLUMNS = ("auprc", "balanced accuracy", "mcc", "f1")
MOST_ROWS = 24


def groupings(run: Collected) -> list[str]:
    """Return the names of the groupings that are scored group by group, without the seeds."""
    names = [key.removeprefix(_KEY) for key in run.metrics if key.startswith(_KEY)]
    return [name for name in names if name != SEED]


def groups(run: Collected) -> str:
    """Write a section for each grouping."""
    return "".join(_section(run, name) for name in groupings(run))


def seeds(run: Collected) -> str:
    """Write the section of the seeds."""
    return _section(run, SEED) if _KEY + SEED in run.metrics else ""


def summary(run: Collected) -> list[str]:
    """Say the mean and the worst of each grouping in a line, for the first screen."""
    lines = []
    for name in groupings(run):
        table = run.metrics[_KEY + name]
        spread = table.get("spread", {}).get("auroc")
        if spread:
            worst = min(
                (row["auroc"], each) for each, row in table["rows"].items() if row["auroc"] is not None
            )
            lines.append(
                f"each {name} alone: mean {number(spread['mean'])}, lowest {number(worst[0])} ({short(worst[1])})"
            )
    return lines


def _section(run: Collected, name: str) -> str:
    table = run.metrics[_KEY + name]
    rows, spread = table.get("rows", {}), table.get("spread", {})
    limits = {each: _possible(run, f"{name} {each}") for each in rows}
    known = any(limit is not None for limit in limits.values())
    values = [v for each, row in rows.items() for v in (row["auroc"], limits[each])]
    scale = Scale.over([0.5, *values])
    head = (
        *(name.capitalize(), "n", "positives", "", "AUROC"),
        *(("best possible",) if known else ()),
        *map(label, _COLUMNS),
        "F1 of always yes",
    )
    body = [
        (
            escape(short(each)),
            count(row["n"]),
            count(row["positives"]),
            whisker(scale, row["auroc"], None, None, 0.5),
            f"<b>{number(row['auroc'])}</b>",
            *((number(limits[each]),) if known else ()),
            *(number(row[column]) for column in _COLUMNS),
            number(row["all-positive f1"]),
        )
        for each, row in _shown(rows)
    ]
    gap = ("",) if known else ()
    foot = [("", "", "", axis(scale, "AUROC"), "", *gap, *([""] * len(_COLUMNS)), "")]
    for words, key in (("mean", "mean"), ("standard deviation", "sd"), ("lowest", "lowest")):
        if spread:
            foot.append(_summary(words, key, spread, gap))
    drawn = tables.table(head, body, numeric=(1, 2, *range(4, len(head))), kind="forest each", foot=foot)
    key = chart.key([("dots s0", "AUROC"), ("line trivial", f"guessing: {number(0.5)}")])
    left_out = len(rows) - len(_shown(rows))
    note = f'<p class="quiet">{count(left_out)} in the middle are left out.</p>' if left_out else ""
    return section(f"{name.capitalize()} by {name}", drawn + key + note, _intro(run, name))


def _summary(words: str, key: str, spread: Mapping[str, Any], gap: tuple[str, ...]) -> tuple[str, ...]:
    """Write a row under the groups: their mean, spread or lowest value."""
    numbers = {column: number(values.get(key)) for column, values in spread.items()}
    columns = (numbers.get(column, "") for column in _COLUMNS)
    return (f"<em>{words}</em>", "", "", "", numbers.get("auroc", ""), *gap, *columns, "")


def _shown(rows: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    """Return the rows; of many, those with the lowest and the highest AUROC."""
    if len(rows) <= MOST_ROWS:
        return list(rows.items())
    ranked = sorted(rows.items(), key=lambda item: -1.0 if item[1]["auroc"] is None else item[1]["auroc"])
    return [*ranked[: MOST_ROWS // 2], *ranked[-MOST_ROWS // 2 :]]


def _possible(run: Collected, name: str) -> float | None:
    limit = run.metrics.get("possible", {}).get(name, {}).get("possible")
    return None if limit is None else float(limit)


def _intro(run: Collected, name: str) -> str:
    if name == SEED:
        return "The same training with other random numbers: the spread is what luck alone does."
    unseen = (
        f"Each {name} was tested by models that never saw it. "
        if run.environment.get("protocol") == "leave-one-out"
        else ""
    )
    return (
        f"{unseen}A new {name} falls somewhere in this range: judge by the lowest row and the spread, not by the "
        "number over everybody."
    )
