"""Can the model learn eight samples by heart? If not, more data, epochs or layers will not help."""

from __future__ import annotations

import copy
import math

import torch

from homeostat.audits.base import Audit, Case, Finding
from homeostat.audits.batch import CPU, some_rows
from homeostat.task.randomness import borrowed, reseed

ROWS, STEPS = 8, 60
# Sixty steps of Adam at 1e-2 bring the loss of eight samples to a fraction; a tenth off is next to nothing.
FALL = 0.1


def _check(case: Case) -> Finding | None:
    assert case.model is not None
    assert case.batch is not None
    assert case.loss is not None
    model = copy.deepcopy(case.model).eval()
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        return None
    batch = case.batch(some_rows(case, ROWS))
    optimizer = torch.optim.Adam(trainable, lr=1e-2)
    course: list[float] = []
    with borrowed(CPU), torch.enable_grad():
        for _ in range(STEPS):
            reseed(CPU, 0, "learnable")  # the same noise each time: only the weights may make a difference
            total = case.loss(model, batch).total
            course.append(float(total.detach()))
            if not total.requires_grad or not math.isfinite(course[-1]):
                break
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    fall = course[0] - min(value for value in [*course, math.inf] if value == value)
    if fall > FALL * abs(course[0]) or abs(course[0]) < 1e-6:
        return None
    return Finding(
        audit=learnable.name,
        severity="serious",
        what=f"In {STEPS} steps on {ROWS} samples the loss goes from {course[0]:.4g} to {min(course):.4g} only.",
        evidence={"start": course[0], "best": min(course)},
        cause="Loss and model are not connected as meant: a detach, a mask without entries, a constant output, "
        "a floor of "
        "masked entries in the loss, dead units.",
        advice="Follow one sample from the batch to the loss by hand.",
    )


learnable = Audit(
    name="learnable",
    law="Eight samples can be learnt by heart.",
    needs=("model", "batch", "count", "loss"),
    check=_check,
    is_cheap=False,
)
