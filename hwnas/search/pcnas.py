"""PC-NAS's search: the best of the pool that grew while the supernet was trained.

Li et al., CVPR 2020, arXiv 1910.02543; the pool is that of hwnas/supernet/samplers/pcnas.py. Its few whole models are
evaluated, and that is all. Without a pool, or with one of which a pre-filter leaves nothing, this is random search.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hwnas.search.pooled import PoolFirst, usable
from hwnas.search.problem import Problem
from hwnas.search.random_search import RandomSearch
from hwnas.search.strategy import STRATEGIES
from hwnas.spaces.base import Decisions

logger = logging.getLogger(__name__)


def pcnas(problem: Problem, *, seed: int, pool: Sequence[Decisions] = ()) -> PoolFirst:
    """All of the pool, the best first."""
    if pool and not usable(problem, pool):
        logger.warning("nothing of the pool passes the limits and the pre-filter: the search goes on at random")
        pool = ()
    return PoolFirst(problem, pool, None if pool else RandomSearch(problem, seed=seed))


STRATEGIES.register("pcnas", pcnas)
