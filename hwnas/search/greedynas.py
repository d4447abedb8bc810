"""GreedyNAS's search: evolution that starts from the supernet's candidate pool.

You et al., CVPR 2020, arXiv 2003.11236; the pool is that of hwnas/supernet/samplers/greedynas.py. The paper runs
NSGA-II on accuracy and FLOPs, its first population from the pool; here it is this project's aging evolution, with
crossover as well as mutation, under hard limits.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.search.evolution import Evolution
from hwnas.search.make import one_number
from hwnas.search.pooled import PoolFirst
from hwnas.search.problem import Problem
from hwnas.search.strategy import STRATEGIES
from hwnas.spaces.base import Decisions


def greedynas(
    problem: Problem,
    *,
    seed: int,
    pool: Sequence[Decisions] = (),
    population: int = 32,
    tournament: int = 8,
    crossover: float = 0.5,
) -> PoolFirst:
    """The best ``population`` of the pool (the best come first), filled up at random, and evolution of them."""
    evolution = Evolution(problem, seed=seed, population=population, tournament=tournament, crossover=crossover)
    return PoolFirst(problem, pool[:population], evolution)


greedynas.refuses = one_number  # type: ignore[attr-defined]
STRATEGIES.register("greedynas", greedynas)
