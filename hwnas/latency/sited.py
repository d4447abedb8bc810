"""Expected latency in spaces that know their sites: exact and differentiable where factors cannot be listed.

What a site costs is read off networks: each node and each edge is at one spot, and what is at a spot, summed, is its
site's cost. Networks are drawn until every site that the relaxation can mean has been seen, and some more, which must
not contradict what was seen.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Set
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import TableError
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.context import edges_of
from hwnas.latency.keys import LatencyKey
from hwnas.latency.population import Floats, Pricing
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions
from hwnas.spaces.relaxed import RelaxedSpace, uniform
from hwnas.spaces.sites.base import Constants, Site, Spot
from hwnas.spaces.sites.known import sites_of

if TYPE_CHECKING:
    from torch import Tensor

CHECKED = 20
"""Networks that are looked at once every site has been seen."""
TRIED = 40
"""Proposals that are read to find one that shows something new: to read one costs little, to look at it much."""
MOST = 20_000
"""Networks that are looked at in all."""


class SitedModel:
    """The costs of one space's sites at one size. Makes a few hundred to a few thousand networks."""

    def __init__(
        self, model: Pricing, space: RelaxedSpace, size_hw: tuple[int, int], classes: int, rng: np.random.Generator
    ) -> None:
        sites = sites_of(space)
        assert sites is not None, space.name
        self._model, self._space, self._size_hw, self._classes = model, space, size_hw, classes
        self._sites, self._constants = sites, Constants()
        self._overhead_ms = model.overhead_ms
        self._unpriced: dict[Site, TableError] = {}
        self._known: dict[Hashable, float | TableError] = {}
        self._learn(rng)

    def expected_ms(self, meant: Mapping[str, Tensor]) -> Tensor:
        """Mean of the predicted p50, in milliseconds, over genotypes whose choices are drawn independently by ``meant``
        (choice → probabilities of its options, shape (options,)): a scalar. What the relaxation cannot mean must have
        no probability. Raises TableError where the table cannot price some kernel that it can mean.
        """
        import torch

        if self._unpriced:
            raise next(iter(self._unpriced.values()))
        counts = self._sites.counts(meant)
        parts = [(count * self._constants.get(group, self._ms[group], count)).sum() for group, count in counts.items()]
        return torch.stack(parts).sum() + self._overhead_ms

    def _learn(self, rng: np.random.Generator) -> None:
        """Fill ``_ms``, group → costs in ms; 0 for sites that do not occur."""
        import torch

        equal = {name: torch.from_numpy(shares) for name, shares in uniform(self._space.relaxation).items()}
        counts = self._sites.counts(self._space.choice_probabilities(equal))
        self._ms: dict[str, Floats] = {group: np.zeros(tuple(count.shape)) for group, count in counts.items()}
        missing = {(group, tuple(place)) for group, count in counts.items() for place in count.nonzero().tolist()}
        possible, seen = frozenset(missing), set[Site]()
        checked = 0
        for _ in range(MOST):
            for site, ms in self._costs(self._proposal(missing, rng), possible).items():
                group, place = site
                if site not in seen:
                    self._ms[group][place] = ms
                    seen.add(site)
                known = self._ms[group][place]
                assert math.isclose(known, ms, rel_tol=1e-9, abs_tol=1e-12), f"{site} costs {known} and {ms} ms"
            missing -= seen
            checked += not missing
            if checked > CHECKED:
                return
        raise AssertionError(f"{len(missing)} sites of {self._space.name} do not occur, such as {min(missing)}")

    def _proposal(self, missing: Set[Site], rng: np.random.Generator) -> Decisions:
        """Decisions that show something that is missing, if a few proposals bring such."""
        for _ in range(TRIED):
            decisions = self._sites.proposal(rng)
            if not missing or not missing.isdisjoint(self._sites.reading(decisions).shown()):
                break
        return decisions

    def _costs(self, decisions: Decisions, possible: frozenset[Site]) -> dict[Site, float]:
        """The cost of every site in one network; all of its occurrences must cost the same."""
        graph = expand(self._space.decode(decisions).genotype, (3, *self._size_hw), self._classes)
        reading = self._sites.reading(decisions)
        spots: dict[Spot, float] = defaultdict(float)
        for node in graph.nodes:
            spot, ms = reading.node(node.name), self._price(graph, node)
            if not isinstance(ms, TableError):
                spots[spot] += ms
            elif spot[0] in possible:
                self._unpriced.setdefault(spot[0], ms)
        for (consumer, slot, producer), edge in edges_of(graph).items():
            spots[reading.edge(consumer, slot, producer)] += self._model.edge_ms(edge)
        costs: dict[Site, float] = {}
        for (site, _), ms in spots.items():
            known = costs.setdefault(site, ms)
            assert math.isclose(known, ms, rel_tol=1e-9, abs_tol=1e-12), f"{site} costs {known} and {ms} ms"
        return costs

    def _price(self, graph: OpGraph, node: Node) -> float | TableError:
        """The node's cost in ms, or why the table has none; asked once for all equal nodes."""
        shapes = graph.input_shapes(node.name)
        fact = (node.op, tuple(node.params.items()), shapes)
        if fact not in self._known:
            try:
                self._known[fact] = self._model.node_ms(LatencyKey(node.op, node.params, shapes))
            except TableError as error:
                self._known[fact] = error
        return self._known[fact]
