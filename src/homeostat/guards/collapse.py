"""The model still tells samples apart: not one class for all, nor one output for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy

# Recall 99 % with a precision of 25 to 31 % at a prevalence of 23 %: the failed run of the 3-D network's notes.
RECALL, ABOVE_PREVALENCE = 0.99, 0.05
# Evaluations in a row; the first one comes when the model has hardly begun and is left out.
SCORES = 2
# A rare class may lie below a threshold of 0.5 for long, though well ranked: that takes more evidence
# (a healthy run with one case in five was accused, log/guards.md).
NOTHING = 5


class Collapse(AbstractGuard):
    """Warns when the model has one class or one output for all."""

    name = "collapse"

    def __init__(self) -> None:
        self._flat: dict[str, int] = {}
        self._scores = 0
        self._raised: list[str] = []

    def watch(self, event: Event) -> Alarm | None:
        return self._classes(event) if event.kind == "score" else None

    def _classes(self, event: Event) -> Alarm | None:
        self._scores += 1
        for name, recall in event.scores.items():
            if not name.endswith("recall"):
                continue
            stem = name.removesuffix("recall")
            precision, share = (event.scores.get(stem + other) for other in ("precision", "prevalence"))
            if precision is None or share is None:
                continue
            everything = recall >= RECALL and precision < share + ABOVE_PREVALENCE * (1 - share)
            nothing = recall == 0 and share > 0
            # Where nine of ten are positive, to call everybody positive is nearly right.
            seen = self._scores > 1 and share < 0.9
            is_one = self._lasts(name, seen and everything, SCORES)
            if self._lasts(f"{name} nothing", seen and nothing, NOTHING) or is_one:
                return self._alarm(
                    event, name, _one_class(event, everything, recall, precision, share), {"recall": recall}
                )
        return self._constant(event)

    def _constant(self, event: Event) -> Alarm | None:
        for name, value in event.scores.items():
            # Exactly one half: ties of constant outputs count one half each, another ranking hits it by accident only.
            is_chance = name.endswith("auroc") and value == 0.5
            if self._lasts(f"{name} alone", is_chance, SCORES):
                return self._alarm(
                    event,
                    name,
                    f"At step {event.step} the outputs are constant ({name} is {value:g}, {SCORES} "
                    "evaluations in a row): the model answers without looking. Look for dead units, inputs that are "
                    "all zero or masked away, and too strong weight decay.",
                    {name: value},
                )
        return None

    def _lasts(self, name: str, is_ill: bool, long: int) -> bool:
        """Say whether a sign has now lasted long enough, once."""
        self._flat[name] = self._flat.get(name, 0) + 1 if is_ill else 0
        if self._flat[name] < long or name in self._raised:
            return False
        self._raised.append(name)
        return True

    def _alarm(self, event: Event, name: str, sentence: str, numbers: Mapping[str, float]) -> Alarm:
        remedy = Remedy(action="rollback", factor=0.5)
        return Alarm(guard=self.name, level="warn", sentence=sentence, numbers=numbers, remedy=remedy)

    @staticmethod
    def example() -> Iterator[Event]:
        """Everybody is called ill."""
        return streams.scored(recall=0.997, precision=0.16)

    def state_dict(self) -> dict[str, Any]:
        return {"flat": dict(self._flat), "scores": self._scores, "told": list(self._raised)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._flat, self._scores, self._raised = dict(state["flat"]), state["scores"], list(state["told"])


def _one_class(event: Event, everything: bool, recall: float, precision: float, share: float) -> str:
    numbers = f"recall {recall:.3g}, precision {precision:.3g}, prevalence {share:.3g}"
    what = "called positive" if everything else "called negative"
    return (
        f"At step {event.step} nearly every sample is {what} ({numbers}): the classes have collapsed into one. Check "
        "the class weights and the sampler (one mechanism, not two), the threshold and the learning rate; trust AUROC, "
        "not F1, until it recovers."
    )
