"""What is an audit? A law that a sound training system obeys, tried on one's own model, data and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from homeostat.data.splits import Splits
from homeostat.run import Run
from homeostat.task.task import Loss

Severity = Literal["fatal", "serious", "note"]
"""fatal: the numbers are wrong. serious: they are probably not what you think. note: worth knowing."""
SEVERITIES: tuple[Severity, ...] = ("fatal", "serious", "note")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A law that does not hold."""

    audit: str
    severity: Severity
    what: str
    """One sentence with the number that shows it."""
    cause: str
    """What usually makes it so."""
    advice: str
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    command: str = ""
    """One command that does something about it or shows more, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Solve:
    """How a differential equation is solved."""

    name: str = "solver"
    adaptive: bool = True
    rtol: float | None = None
    atol: float | None = None
    step_size: float | None = None
    dtype: str = "float32"
    """Of the state inside the solver."""
    span: float = 1.0
    """Length of the time that is solved over, in the model's units."""
    times: int = 2
    """Observation times of a typical sample."""


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A penalty that shall be low for what is right and high for what is wrong."""

    name: str
    penalty: Callable[[Mapping[str, Tensor]], Tensor]
    perfect: Mapping[str, Tensor]
    """Parameters that violate nothing."""
    violated: Mapping[str, Tensor]
    """The same with the violation that the penalty is for."""
    gates: tuple[str, ...] = ()
    """Which of them are gates in (0, 1)."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A bound of a constraint, in the unit of the model and in that of the world."""

    name: str
    low: float
    high: float
    unit: str
    """Such as ms or a share of the strip; without a unit a bound cannot be checked."""
    factor: float = 1.0
    """What one unit of the bound is in `known_unit`."""
    known: tuple[float, float] | None = None
    """Range in which healthy and ill people lie, in `known_unit`."""
    known_unit: str = ""


class Normaliser(Protocol):
    """A scaler, curve or vocabulary that names on whom it was fitted, by count and digest."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def ids(self) -> int: ...

    @property
    def ids_digest(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A number that was fitted on some split: a threshold, a temperature, a median, a stacker's inputs."""

    name: str
    fitted_on: str
    """A split, "given", or empty when nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What audits may try their laws on. Give what there is: a law whose needs are not met is not tried."""

    name: str = "case"
    model: nn.Module | None = None
    batch: Callable[[NDArray[np.int64]], Any] | None = None
    """Row numbers -> batch, as in training, without augmentation."""
    count: int = 0
    """Rows that `batch` knows."""
    loss: Callable[[nn.Module, Any], Loss] | None = None
    resting: Sequence[str] = ()
    """Prefixes of parameters that this stage of training leaves alone on purpose."""
    inputs: Sequence[str] = ()
    """Names of the batch's tensors that the model is meant to read."""
    predict: Callable[[nn.Module, Any], Tensor] | None = None
    """(model, batch) -> one row per sample."""
    padded: Callable[[Any, int], Any] | None = None
    """(batch, n) -> the same batch with n more steps of padding."""
    augment: Callable[[Any, int], Any] | None = None
    """(batch, epoch) -> the augmented batch."""
    entry_loss: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    """(outputs, targets, mask), each (B, K), -> the scalar loss."""
    start: Literal["binary", "classes", "regression"] | float | None = None
    """What kind of loss it is, if it is a plain one of `targets`, so that its start can be known beforehand; or the
    loss of a model that knows only the prior."""
    start_term: str = ""
    """The term of the loss that `start` speaks of; empty for the total."""
    targets: NDArray[np.float64] | None = None
    """Training targets (n, k), NaN where unknown; class numbers (n, 1) for classes."""
    labels: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Split that is scored -> its binary targets (n, k), NaN where unknown."""
    splits: Splits | None = None
    rivals: Mapping[str, Splits] = field(default_factory=dict)
    """Splits of the models that this one is compared with."""
    subjects: Mapping[str, str] | None = None
    """Id -> subject."""
    content: Callable[[str], bytes] | None = None
    """Id -> what the sample consists of."""
    picture: Callable[[str], NDArray[Any]] | None = None
    """Id -> a grey image (H, W)."""
    scalers: Sequence[Normaliser] = ()
    fitted: Sequence[Fitted] = ()
    config: Mapping[str, Any] | None = None
    """Plain configuration of this run."""
    parent: Mapping[str, Any] | None = None
    """Configuration of the run that this one is an ablation of."""
    constraints: Sequence[Constraint] = ()
    bounds: Sequence[Bound] = ()
    solves: Sequence[Solve] = ()
    select: str = ""
    """The score that drives the run."""
    best: Mapping[str, Tensor] | None = None
    """The weights that were put aside as the best."""
    mechanisms: Sequence[str] = ()
    """What is done about class imbalance, such as "sampler", "pos_weight", "focal"."""
    weights: Sequence[float] = ()
    """Weight of each class, if classes are weighted."""
    run: Run | None = None
    untried: Mapping[str, str] = field(default_factory=dict)
    """Why a law cannot be tried here, by its name, where the case knows better than `WANTING`."""


WANTING = {
    "model": "a run folder holds no untrained model; homeostat doctor RECIPE has one",
    "batch": "there is no model to give batches to",
    "count": "there are no rows",
    "loss": "there is no loss to compute",
    "inputs": "no inputs are declared",
    "padded": "samples have one size, so nothing is padded",
    "augment": "nothing is augmented",
    "entry_loss": "no entry of the targets is masked",
    "start": "nobody says what the prior implies for this loss",
    "targets": "there are no class labels",
    "labels": "no split with classes is scored yet",
    "splits": "there is no split yet",
    "content": "contents are not at hand",
    "picture": "samples are no pictures",
    "scalers": "nothing is scaled by what was fitted on data",
    "fitted": "no threshold, temperature or second level has been fitted",
    "config": "there is no configuration",
    "parent": "no parent is named: homeostat doctor RUN --parent RUN",
    "constraints": "the loss has no constraint",
    "bounds": "there are no bounds",
    "solves": "no differential equation is solved",
    "select": "no score drives anything",
    "best": "no best state is at hand",
    "mechanisms": "nothing is done about class imbalance",
    "weights": "classes are not weighted",
    "run": "there is no run yet",
}
"""Field of a Case -> why a law that needs it is not tried."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A law, what it needs, and how it is tried."""

    name: str
    law: str
    """The law as a sentence."""
    needs: tuple[str, ...]
    """Fields of a Case that must be given."""
    check: Callable[[Case], Finding | None]
    is_cheap: bool = True
    """Cheap ones are tried at the start of every run."""

    def applies(self, case: Case) -> bool:
        """Say whether the case holds what the law needs."""
        return self.wants(case) is None

    def wants(self, case: Case) -> str | None:
        """Return why the law cannot be tried, or None if it can."""
        missing = next((name for name in self.needs if not _is_given(getattr(case, name))), None)
        return None if missing is None else case.untried.get(self.name, WANTING[missing])


def _is_given(value: Any) -> bool:
    return value is not None and (not isinstance(value, Sized) or len(value) > 0)
