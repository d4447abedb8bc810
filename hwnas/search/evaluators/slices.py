"""A candidate's score as a slice of a supernet: its weights are there already, so it costs seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.ir.fingerprint import fingerprint
from hwnas.search.evaluators.base import Measures, Shown, facts_of, outcome_of
from hwnas.search.strategy import Outcome, Request
from hwnas.shapes import Shape
from hwnas.spaces.base import Decisions, SearchSpace

if TYPE_CHECKING:
    from hwnas.ir.opgraph import OpGraph
    from hwnas.supernet.evaluate import SliceEvaluator


class SliceScores:
    """mIoU of a supernet's slice on the held-out blocks. ``graph_of`` expands decisions at an input shape (C, H, W).

    ``supernet`` names the weights (their file's sha256). A fidelity means nothing here: there is no training.
    ``measures`` look at what ``shown`` gives, images of the size that slices are scored at.
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluator: SliceEvaluator,
        graph_of: Callable[[Decisions, Shape], OpGraph],
        *,
        supernet: str = "",
        data: str = "",
        measures: Measures | None = None,
        shown: Callable[[], Shown] | None = None,
    ) -> None:
        assert shown is not None or not measures
        self._space, self._evaluator, self._graph_of = space, evaluator, graph_of
        self._supernet, self._data = supernet, data
        self._measures, self._shown = dict(measures or {}), shown

    def evaluate(self, request: Request) -> Outcome:
        def work() -> Outcome:
            graph = self._graph_of(request.decisions, (3, *self._evaluator.size_hw))
            return Outcome(request, {"miou": self._evaluator.score(graph).miou, **self._measured(graph)})

        return outcome_of(request, work)

    def _measured(self, graph: OpGraph) -> dict[str, float]:
        if self._shown is None or not self._measures:
            return {}
        network, shown = self._evaluator.network(graph), self._shown()
        return {name: measure.of(network, shown) for name, measure in self._measures.items()}

    def identity(self, request: Request) -> Mapping[str, Any]:
        return {
            "evaluator": "slices",
            "candidate": fingerprint(self._space.decode(request.decisions).genotype),
            "supernet": self._supernet,
            "data": self._data,
            "size_hw": list(self._evaluator.size_hw),
            **facts_of(self._measures),
        }
