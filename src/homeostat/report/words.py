"""Write numbers and names for a reader, in one place, so that a table and a figure never disagree."""

from __future__ import annotations

import html
import math

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
SPLITS = {
    "test": "test",
    "valid": "validation",
    "train": "training",
    "out-of-fold": "out-of-fold",
}
MINUS = "\N{MINUS SIGN}"


def escape(text: object) -> str:
    """Escape a text for HTML: every name in a report comes from data or a configuration, so none is trusted."""
    return html.escape(visible(str(text)), quote=True)


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
