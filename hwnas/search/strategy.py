"""What a search strategy is: it asks for candidates to be evaluated and learns from what came of them.

A strategy knows nothing of clocks, files or engines. It draws the randomness of its n-th request from a stream of its
own, made from the seed and n (:func:`stream`): so its future is a function of its seed and of what it was told, and a
search that was killed goes on exactly as it would have gone on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from hwnas.registry import Registry
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import decisions_from_json as decisions_from_json  # strategies read their states with it

Status = Literal["ok", "failed", "infeasible"]

FOREIGN = -1
"""The id of a request in an outcome that another process, at work on the same study, has asked for."""


@dataclass(frozen=True)
class Request:
    """A candidate to evaluate, by its canonical decisions.

    ``id`` numbers a strategy's requests from 0; :data:`FOREIGN` is one that another process's strategy made, whose
    outcome can be learned from. ``fidelity`` is how much of the full evaluation is wanted (1 is all of it; an evaluator
    says what less means). ``continue_from`` is the checkpoint of an earlier outcome to go on from.
    """

    decisions: Decisions = field(hash=False)
    id: int
    fidelity: float = 1.0
    continue_from: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "decisions", MappingProxyType(dict(self.decisions)))


@dataclass(frozen=True)
class Outcome:
    """What came of a request. ``values`` are the measured metrics (``miou`` 0–1, ``latency_ms``, …).

    ``failed``: it could not be evaluated (``note`` says why); ``infeasible``: it was, and breaks a hard limit.
    """

    request: Request
    values: Mapping[str, float] = field(default_factory=dict, hash=False)
    status: Status = "ok"
    note: str = ""
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))


class Strategy(Protocol):
    """Proposes requests and learns from outcomes."""

    def ask(self, count: int) -> list[Request]:
        """At most ``count`` requests: feasible, and never the same candidate at the same fidelity twice.

        Fewer (or none) while the strategy must wait for outcomes, or when there is nothing new left in the space.
        """

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        """Outcomes in any order; also of requests that an earlier life of this search, or another one (with the id
        :data:`FOREIGN`), asked for."""

    def state(self) -> dict[str, Any]:
        """Everything that decides the future, as a JSON document."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on exactly from a :meth:`state`."""


class Evaluator(Protocol):
    """Finds out how good a candidate is: a supernet's slice, a short training, a full one, a proxy.

    An exception is a recorded outcome (``failed``), not the end of the search.
    """

    def evaluate(self, request: Request) -> Outcome: ...


StrategyFactory: TypeAlias = "Callable[..., Strategy]"
"""``factory(problem, seed=0, **options)``: makes a strategy; the options are its own (``population=64``)."""

STRATEGIES: Registry[StrategyFactory] = Registry("strategy", "hwnas.search")


def stream(seed: int, number: int) -> np.random.Generator:
    """The random generator of a search's ``number``-th request."""
    return np.random.default_rng([seed, number])
