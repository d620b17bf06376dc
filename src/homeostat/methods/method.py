"""A method is one way from a store to predictions; a plan crosses methods with splits and seeds.

Networks, trees, rules and stacks are all methods. A method that is made of others, such as a stack, has a plan too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from homeostat.data.ragged import Array
from homeostat.data.splits import Splits
from homeostat.errors import ConfigError
from homeostat.evaluate.predictions import Predictions, Split
from homeostat.methods.protocol import Protocol
from homeostat.run import Run
from homeostat.task.randomness import address

D = TypeVar("D")
"""The data of a recipe as its methods see them: a view of a store."""

Average = Literal["outputs", "logits", "logs"]
"""The scale of a mean: outputs, logits of probabilities, or logs of positive outputs such as lives."""
# xgboost and scikit-learn take seeds of 31 bits.
SEED_BITS = 31


@dataclass(frozen=True, kw_only=True)
class Lesson(Generic[D]):
    """The data that one training may learn from."""

    data: D
    splits: Splits
    """It learns from `train` and may choose on `valid`."""
    seed: int
    at_end: bool = False
    """True: nothing may be chosen on `valid`, because its predictions vouch for the model out of fold."""


@dataclass(frozen=True)
class Predictor(Generic[D]):
    """A trained model that answers for any subjects of any data of its kind."""

    answer: Callable[[D, Sequence[str]], Array]
    """(data, ids) -> one output row per row of the recipe's table of these ids."""
    beside: Mapping[str, Predictor[D]] = field(default_factory=dict)
    """Predictors that came with it and are reported next to it, such as the members of a stack."""


@dataclass(frozen=True, kw_only=True)
class Method(Generic[D]):
    """One way from a store to predictions."""

    name: str
    train: Callable[[Lesson[D], Run], Predictor[D]]
    """Trains in the run, or goes on where the run was left; a run that is done gives its predictor at once."""
    load: Callable[[Run], Predictor[D]] | None = None
    """Reads the predictor of a finished run. None: a rule, fitted anew in a moment, which has no run of its own."""
    parts: tuple[Split, ...] = ("valid", "test")
    """Parts that it predicts, where the split has them."""
    average: Average = "outputs"
    """The scale on which its outputs are averaged over seeds."""
    is_single: bool = False
    """True: trained once per split, with the seed of the run itself, however many seeds are asked for."""
    stream: str | None = None
    """Methods of one stream meet the same random draws, so that they can be compared in pairs. None: its own name."""
    selected: str = ""
    """How the predicting state was chosen, for the prediction file."""
    inner: Callable[[Lesson[D]], Plan[D]] | None = None
    """The child runs that `train` needs first, where it is made of other methods."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            # No dot: the name of a child run is taken apart at its dots (outcome.py).
            raise ConfigError(f"A method cannot be called {self.name!r}. Use letters, digits, _ and - only.")

    @property
    def is_rule(self) -> bool:
        return self.load is None


def seed_of(seed: int, split: str, method: Method[D], k: int) -> int:
    """The seed of one training: addressed by what it is for, so that two runs or two folds never share one."""
    # The seed of the run: the trees beside a single model keep their bits, however many networks there are.
    if method.is_single:
        return seed
    stream = method.name if method.stream is None else method.stream
    # Without a stream the methods of a split share their draws, on purpose, so that they can be compared in pairs.
    parts = (split, stream, k) if stream else (split, k)
    return address(seed, *parts) % (1 << SEED_BITS)


Table = Callable[[D, Sequence[str], Array, Split], Predictions]
"""(data, ids, output rows, part) -> the predictions of these ids."""


@dataclass(frozen=True, kw_only=True)
class Child(Generic[D]):
    """One training of a plan."""

    split: str
    method: Method[D]
    k: int
    lesson: Lesson[D]

    @property
    def name(self) -> str:
        return f"{self.split}.{self.method.name}.{self.k}"


@dataclass(frozen=True, kw_only=True)
class Plan(Generic[D]):
    """Everything that a run trains: a pure function of configuration and store."""

    data: D
    protocol: Protocol
    methods: tuple[Method[D], ...]
    """The first one is the model of the run, the others are its yard-sticks."""
    table: Table[D]
    seed: int
    seeds: int = 1
    """Trainings of each method per split; their mean is the prediction."""
    at_end: bool = False
    """Nothing is chosen on the validation parts, because their predictions are used out of fold."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Choices that were made from the data, for environment.json."""

    @property
    def main(self) -> Method[D]:
        """The model of the run."""
        return self.methods[0]

    @property
    def children(self) -> tuple[Child[D], ...]:
        """Every training, in the order in which one process does them."""
        return tuple(
            Child(split=name, method=method, k=k, lesson=self._lesson(method, name, splits, k))
            for name, splits in self.protocol.splits.items()
            for method in self.methods
            for k in range(1 if method.is_single or method.is_rule else self.seeds)
        )

    def _lesson(self, method: Method[D], name: str, splits: Splits, k: int) -> Lesson[D]:
        seed = seed_of(self.seed, name, method, k)
        return Lesson(data=self.data, splits=splits, seed=seed, at_end=self.at_end)

    def leaves(self, within: str = "") -> Iterator[str]:
        """Paths of the child runs that can be trained in any order, such as official.stack.0/fold1.gru-d.0."""
        for child in self.children:
            if child.method.inner is not None:
                yield from child.method.inner(child.lesson).leaves(f"{within}{child.name}/")
            elif not child.method.is_rule:
                yield within + child.name
