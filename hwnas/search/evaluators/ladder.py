"""A ladder of evaluators: the fidelity that a strategy asks for says which of them answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwnas.errors import HwnasError
from hwnas.search.evaluators.base import IdentifiedEvaluator
from hwnas.search.strategy import Outcome, Request


@dataclass(frozen=True)
class Rung:
    """``evaluator`` answers requests of a fidelity up to ``top``; that is fidelity 1 to itself if ``whole``.

    A rung that is not whole is handed the fidelity as it was asked for: a training of which that is the part.
    """

    evaluator: IdentifiedEvaluator
    top: float
    whole: bool = True


class Ladder:
    """The cheapest rung that reaches a request's fidelity evaluates it. Rungs rise, the last to fidelity 1.

    Scores of different rungs are not comparable: a strategy compares those of one fidelity. A checkpoint goes on up the
    ladder, where both rungs train the same network.
    """

    def __init__(self, rungs: Sequence[Rung]) -> None:
        check_tops([rung.top for rung in rungs])
        self._rungs = tuple(rungs)

    def evaluate(self, request: Request) -> Outcome:
        rung, asked = self._place(request)
        return replace(rung.evaluator.evaluate(asked), request=request)

    def identity(self, request: Request) -> Mapping[str, Any]:
        rung, asked = self._place(request)
        return rung.evaluator.identity(asked)

    def _place(self, request: Request) -> tuple[Rung, Request]:
        rung = next((rung for rung in self._rungs if request.fidelity <= rung.top + 1e-9), self._rungs[-1])
        return rung, replace(request, fidelity=1.0) if rung.whole else request


def check_tops(tops: Sequence[float]) -> None:
    """HwnasError unless the fidelities that the rungs reach rise to 1."""
    if not tops or list(tops) != sorted(set(tops)) or tops[-1] != 1 or tops[0] <= 0:
        said = ", ".join(f"{top:g}" for top in tops) or "none"
        raise HwnasError(
            f"the rungs of a ladder must rise to a fidelity of 1, and these reach {said}",
            "write them like --rungs proxy@0.1,training@1",
        )
