"""The guard and the audit that the documents add are whole, and obey the laws that a new one must obey."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.audits.case import Case
from homeostat.audits.exam import examine
from homeostat.audits.support import TrainingLabels
from homeostat.guards import streams

DOCS = Path(__file__).resolve().parents[2] / "docs"


def example(document: str, heading: str, name: str) -> Any:
    """Run the code under that heading, and return what it calls so."""
    text = (DOCS / document).read_text().split(heading)[1]
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    space: dict[str, Any] = {}
    exec(code[1], space)  # noqa: S102  # the repository's own document
    return space[name]


def test_the_guard_of_the_document() -> None:
    kind = example("guards.md", "## Another guard", "Negative")
    first, second = kind(), kind()
    heard = [event.step for event in kind.example() if first.watch(event)]
    assert heard == [streams.ONSET]
    assert not any(second.watch(event) for seed in range(5) for event in streams.healthy(seed))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert not any(second.watch(event) for event in kind.example())


def test_the_audit_of_the_document() -> None:
    audit = example("audits.md", "## Another audit", "probabilities")
    sound, ill = np.array([[0.0], [1.0], [np.nan]]), np.array([[1.0], [2.0], [np.nan]])
    assert not examine(Case("c", (TrainingLabels(sound),)), [audit]).findings
    (finding,) = examine(Case("c", (TrainingLabels(ill),)), [audit]).findings
    assert finding.what == "1 targets are neither 0 nor 1 nor between."
    assert examine(Case("c"), [audit]).not_tried == {"probabilities": "no class labels are at hand"}
