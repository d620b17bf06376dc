"""Write numbers and names for a reader, in one place, so that a table and a figure never disagree."""

from __future__ import annotations

import html
import math
import re

from homeostat.console import visible

LABELS = {
    "auroc": "AUROC",
    "auroc (bootstrap)": "AUROC, bootstrap interval",
    "macro auroc": "AUROC, mean over targets",
    "auprc": "AUPRC",
    "macro auprc": "AUPRC, mean over targets",
    "brier": "Brier score",
    "log loss": "Log loss",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "accuracy": "Accuracy",
    "balanced accuracy": "Balanced accuracy",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "ece": "Calibration error (ECE)",
    "calibration slope": "Calibration slope",
    "calibration intercept": "Calibration intercept",
    "rmse": "RMSE",
    "mae": "Mean absolute error",
    "mape": "Mean absolute % error",
    "r2": "R²",
    "mean error": "Mean error (bias)",
    "rmse per subject": "RMSE, mean over subjects",
    "mae per subject": "MAE, mean over subjects",
    "rmse of the last point": "RMSE of each last point",
}
MEANINGS = {
    "auroc": "Of two subjects, one with the outcome and one without, the model ranks the first higher in {share} of "
    "pairs.",
    "macro auroc": "Over all targets: of two rows, one with the finding and one without, the model ranks the first "
    "higher in {share} of pairs.",
    "auprc": "The mean share of alarms that are right, from the strictest threshold to the loosest.",
    "rmse": "The size of a typical error; large errors count most.",
    "rmse per subject": "The size of a typical error within one subject, averaged over subjects.",
    "mae": "The mean size of an error.",
}
"""The meaning of a headline score, in a sentence for who does not compute scores."""
SPLITS = {
    "test": "test",
    "valid": "validation",
    "train": "training",
    "out-of-fold": "out-of-fold",
}
MINUS = "\N{MINUS SIGN}"


# Letters that are written from right to left: a name in them would carry the numbers behind it along.
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
    "[\u0300-\u036f\u0590-\u08ff\u200c\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff -]*"
)
_ISOLATED = "\N{FIRST STRONG ISOLATE}{}\N{POP DIRECTIONAL ISOLATE}"
LONGEST = 72
"""Letters of a name that fit beside a figure."""


def escape(text: object) -> str:
    """Escape a text for HTML: every name in a report comes from data or a configuration, so none is trusted.

    Letters that command a terminal or turn the direction of the text are shown instead of obeyed.
    """
    isolated = _RIGHT_TO_LEFT.sub(lambda run: _ISOLATED.replace("{}", run[0]), visible(str(text)))
    return html.escape(isolated, quote=True)


def short(name: str, longest: int = LONGEST) -> str:
    """Leave out the middle of a long name; ids often differ at their ends."""
    if len(name) <= longest:
        return name
    head = (longest - 1) * 2 // 3
    return f"{name[:head]}…{name[head + 1 - longest :]}"


def label(name: str) -> str:
    """Return the name of a score as a reader knows it."""
    if name.startswith("rmse "):
        return LABELS.get(name, "RMSE" + name[4:])
    return LABELS.get(name, name[:1].upper() + name[1:])


def number(value: float | None, like: float | None = None) -> str:
    """Write three decimals for what lies near one, three significant digits for the rest, and never "-0.000".

    The decimals are those of `like`, a number of the same row, where it is given.
    """
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:,.{_decimals(abs(value if like is None else like))}f}"
    negative = text.startswith("-") and text.strip("-0.,") != ""
    return (MINUS if negative else "") + text.removeprefix("-")


def _decimals(size: float) -> int:
    if size >= 1000:
        return 0
    if size >= 10:
        return 2 if size < 100 else 1
    # Below 5e-7 a number is a rounding error of zero, and is written as zero.
    if size >= 0.02 or size < 5e-7:
        return 3
    if size >= 0.002:
        return 4
    return 2 - math.floor(math.log10(size))


def interval(low: float | None, high: float | None, like: float | None = None) -> str:
    """Write "0.85 to 0.88", because a dash would be taken for a minus. Both ends have the same decimals."""
    if low is None or high is None:
        return ""
    shared = max(abs(low), abs(high)) if like is None else like
    return f"{number(low, shared)} to {number(high, shared)}"


def p_value(p: float | None) -> str:
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_values(raw: float | None, corrected: float | None = None) -> str:
    """Write "0.012, corrected 0.036": both, wherever one of them stands."""
    if corrected is None:
        return p_value(raw)
    return f"{p_value(raw)}, corrected {p_value(corrected)}"


def count(n: int, noun: str = "", plural: str = "") -> str:
    """Write "1 patient" or "4,000 patients"."""
    if not noun:
        return f"{n:,}"
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(items: list[str]) -> str:
    """Write "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def moment(iso: str) -> str:
    """Shorten 2026-11-20T10:31:40.123+00:00 to 2026-11-20 10:31."""
    return iso[:16].replace("T", " ")


def in_order(levels: list[str]) -> list[str]:
    """Sort the levels of a group: bands of numbers by size, "below 50" first; names as they come; unknown last."""
    bands = {level: _lower_end(level) for level in levels}
    named = [level for level in levels if level.lower() not in _UNKNOWN]
    if all(bands[level] is not None for level in named):
        named.sort(key=lambda level: bands[level] or (0.0, 0))
    return [*named, *(level for level in levels if level not in named)]


_UNKNOWN = {"unknown", "not known", "missing", "none", "nan", ""}
_BELOW = re.compile(r"^(?:below|under|less than|up to|at most|<=?|≤)\s*", re.IGNORECASE)
_ABOVE = re.compile(r"^(?:above|over|more than|from|at least|>=?|≥)\s*", re.IGNORECASE)


def _lower_end(level: str) -> tuple[float, int] | None:
    """Return the first number of a band and its place among bands with the same one."""
    bare = _ABOVE.sub("", _BELOW.sub("", level))
    first = re.match(r"[-−]?\d+(?:\.\d+)?", bare)
    if first is None:
        return None
    place = -1 if _BELOW.match(level) else 1 if _ABOVE.match(level) else 0
    return float(first[0].replace(MINUS, "-")), place
