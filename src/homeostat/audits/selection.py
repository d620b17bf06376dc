"""By which score is the best state chosen? One of validation, and one that needs no threshold."""

from __future__ import annotations

from homeostat.audits.base import Audit, Case, Finding

THRESHOLDED = ("f1", "accuracy", "acc", "precision", "recall", "sensitivity", "specificity", "mcc")


def _check(case: Case) -> Finding | None:
    split, _, score = case.select.rpartition("/")
    if split.startswith("test"):
        return Finding(
            audit=selection.name,
            severity="fatal",
            what=f"The run is driven by {case.select}: the best state, early stopping and the schedule read the "
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
        what=f"The run is driven by {case.select}, which depends on a threshold and on how common the class is.",
        cause="At a fixed threshold the score jumps with calibration: it chooses the state that is shifted luckily.",
        advice="Choose by AUROC, AUPRC, or the loss on validation, and set the threshold afterwards.",
    )


selection = Audit(
    name="selection",
    law="The score that drives the run is of validation and needs no threshold.",
    needs=("select",),
    check=_check,
)
