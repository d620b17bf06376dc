"""The model can learn eight samples by heart. If it cannot, more data, epochs or layers will not help."""

from __future__ import annotations

import copy
import math

import torch

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Trial
from homeostat.task.randomness import seeded

ROWS, STEPS = 8, 60
# Sixty steps of Adam at 1e-2 bring the loss of eight samples to a fraction; a tenth off is next to nothing.
FALL = 0.1


@law("Eight samples can be learnt by heart.", is_cheap=False)
def learnable(trial: Trial) -> Finding | None:
    # In eval mode dropout does not hide what the weights can learn.
    model = copy.deepcopy(trial.model).eval()
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        return None
    batch = trial.batch(trial.rows(ROWS))
    optimizer = torch.optim.Adam(trainable, lr=1e-2)
    course: list[float] = []
    for _ in range(STEPS):
        # The same noise each time: only the weights may make a difference.
        with seeded(0, "learnable"), torch.enable_grad():
            total = trial.loss(model, batch).total
        course.append(float(total.detach()))
        if not total.requires_grad or not math.isfinite(course[-1]):
            break
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    # A NaN differs from itself; min() would keep it.
    fall = course[0] - min(value for value in [*course, math.inf] if value == value)
    if fall > FALL * abs(course[0]) or abs(course[0]) < 1e-6:
        return None
    return Finding(
        audit=learnable.name,
        severity="serious",
        what=f"In {STEPS} steps on {ROWS} samples the loss goes from {course[0]:.4g} to {min(course):.4g} only.",
        evidence={"start": course[0], "best": min(course)},
        cause="Loss and model are not connected as meant: a detach, a mask without entries, a constant output, "
        "a floor of masked entries in the loss, dead units.",
        advice="Follow one sample from the batch to the loss by hand.",
    )
