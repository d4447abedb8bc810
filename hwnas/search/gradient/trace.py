"""What a relaxation leads to, epoch by epoch: expected against derived latency, and what was derived.

The *discretisation gap* is what lies between them: the latency of the genotype that the relaxation would be turned into
now, less the expectation that the budget is held by, relative to the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hwnas.search.gradient.step import Batch, RelaxedStep
from hwnas.shapes import Value
from hwnas.spaces.relaxed import Probabilities, RelaxedSpace
from hwnas.supernet.prices import Price

if TYPE_CHECKING:
    from hwnas.training.checkpoint import Part


@dataclass(frozen=True)
class Look:
    """After ``step`` steps. ``expected_ms`` is None while nothing is learned of the architecture."""

    step: int
    expected_ms: float | None
    derived_ms: float

    @property
    def gap(self) -> float | None:
        """The discretisation gap."""
        return None if not self.expected_ms else self.derived_ms / self.expected_ms - 1

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "gap": self.gap}


class Traced:
    """``step``, looked at every ``every`` steps and when there is an expectation for the first time; ``seen`` is called
    after each look with this and the derived decisions.

    ``more`` are further parts of its state (an expectation's).
    """

    def __init__(
        self,
        step: RelaxedStep,
        space: RelaxedSpace,
        price: Price,
        *,
        every: int,
        seen: Callable[[Traced, Mapping[str, Value]], None] | None = None,
        more: Mapping[str, Part] | None = None,
    ) -> None:
        self.inner, self.space, self.price, self.every = step, space, price, max(1, every)
        self.seen, self.more = seen, dict(more or {})
        self.steps = 0
        self.expected_ms: float | None = None
        self.looks: list[Look] = []

    @property
    def finished(self) -> bool:
        return self.inner.finished

    def begin(self, fraction: float) -> None:
        self.inner.begin(fraction)

    def step(self, train: Batch, val: Batch) -> Mapping[str, float]:
        figures = self.inner.step(train, val)
        first = self.expected_ms is None and "expected_ms" in figures
        self.expected_ms = figures.get("expected_ms", self.expected_ms)
        self.steps += 1
        if first or self.steps % self.every == 0:
            self.look()
        return figures

    def look(self) -> Look:
        """Derive now, and record it."""
        derived = self.space.derive(self.relaxation())
        look = Look(self.steps, self.expected_ms, self.price(derived))
        self.looks.append(look)
        if self.seen is not None:
            self.seen(self, derived)
        return look

    def relaxation(self) -> Probabilities:
        return self.inner.relaxation()

    def parts(self) -> dict[str, Part]:
        from hwnas.training.checkpoint import Part

        def recall(facts: Mapping[str, Any]) -> None:
            self.steps, self.expected_ms = int(facts["steps"]), facts["expected_ms"]
            self.looks = [Look(each["step"], each["expected_ms"], each["derived_ms"]) for each in facts["looks"]]

        own = Part(
            facts=lambda: {
                "steps": self.steps,
                "expected_ms": self.expected_ms,
                "looks": [look.to_dict() for look in self.looks],
            },
            recall=recall,
        )
        return {**self.inner.parts(), **self.more, "trace": own}
