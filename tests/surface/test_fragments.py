"""Python fragments of the pages run, and run again, once the names that they take for granted are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from homeostat.data import splits
from homeostat.task.task import Loss

ROOT = Path(__file__).resolve().parents[2]


def solved() -> dict[str, Any]:
    t = torch.linspace(0, 1, 5).expand(3, 5)
    return {"field": lambda t, y: -y, "y0": torch.ones(3, 2), "t": t}


def audited() -> dict[str, Any]:
    x = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    y = x.sum(1, keepdim=True)
    ids = [str(row) for row in range(80)]

    def loss(model: nn.Module, batch: Any) -> Loss:
        return Loss(nn.functional.mse_loss(model(batch[0]), batch[1]))

    return {
        "model": nn.Linear(4, 1),
        "rows": np.arange(80),
        "make_batch": lambda rows: (x[torch.from_numpy(rows)], y[torch.from_numpy(rows)]),
        "loss": loss,
        "predict": lambda model, batch: model(batch[0]),
        "splits": splits.by_subject(ids, ids, seed=0, fingerprint="simulated"),
        "subjects": {name: name for name in ids},
    }


@pytest.mark.parametrize(
    ("page", "begin", "names"),
    [
        ("README.md", "from homeostat.ode import odeint", solved()),
        ("docs/ode.md", "from homeostat.ode import odeint", solved()),
        ("docs/ode.md", "from homeostat.ode.compat import", solved()),
        ("docs/audits.md", "from homeostat.audits import AUDITS", audited()),
        ("docs/battery.md", "import torch\nfrom homeostat.recipes.battery.model", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fragment_runs_twice(page: str, begin: str, names: dict[str, Any]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    cells = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    (cell,) = [cell for cell in cells if cell.startswith(begin)]
    space = dict(names)
    for _ in range(2):
        exec(compile(cell, page, "exec"), space)  # noqa: S102  # the page is the program
