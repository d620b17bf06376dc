"""The best state is chosen by a score of validation that needs no threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeostat.audits.base import Finding, law

# Words of scores that depend on a threshold.
THRESHOLDED = ("f1", "accuracy", "acc", "precision", "recall", "sensitivity", "specificity", "mcc")


@dataclass(frozen=True)
class Selection:
    """The score that drives the run."""

    absent: ClassVar[str] = "no score that drives the training is at hand"

    score: str


@law("The score that drives the run is of validation and needs no threshold.")
def selection(selected: Selection) -> Finding | None:
    split, _, score = selected.score.rpartition("/")
    if split.startswith("test"):
        return Finding(
            audit=selection.name,
            severity="fatal",
            what=f"The run is driven by {selected.score}: the best state, early stopping and the schedule read the "
            "test set.",
            cause="The test loader was handed over as the validation loader.",
            advice="Spare a validation split from training, choose by it, and read the test set once.",
        )
    words = score.lower().replace("-", "_").split("_")
    if not any(word in THRESHOLDED for word in words):
        return None
    return Finding(
        audit=selection.name,
        severity="serious",
        what=f"The run is driven by {selected.score}, which depends on a threshold and on how common the class is.",
        cause="At a fixed threshold the score jumps with calibration: it chooses the state that is shifted luckily.",
        advice="Choose by AUROC, AUPRC, or the loss on validation, and set the threshold afterwards.",
    )
