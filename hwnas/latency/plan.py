"""What has to be timed for a space: every kernel that any of its nets can need, and whole nets that test the sum."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.factor import Described, Factors, NotFactored, Row, factorise
from hwnas.latency.features import rough_cost
from hwnas.latency.interpolate import kind, place
from hwnas.latency.keys import LatencyKey, keys_of
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, random_decisions

CALIBRATION_NETS, FEWEST_CALIBRATION_NETS = 112, 64
"""How many whole nets calibrate a table, where there is time for them, and where there is little.

Of 100 nets of ``realtime`` timed in six passes, those left out were predicted with an error of 2.0% by 64 of the
others, of 1.8% by 85, and of 1.4% by all 99.
"""
SECONDS_A_NET = 2.0
"""Of all the time for a table, for each of its nets: the kernels need their share, too."""

FOCUS_DRAWS = 300
UNLISTED_DRAWS = 400
MOST_VALUES = 250_000
"""Nodes that are looked at before a space's factors are given up: 1,000 networks of Auto-DeepLab's."""
FAR = 0.01
"""What an occurrence counts in genotypes that the table is not for."""


@dataclass(frozen=True)
class Plan:
    """Keys in the order of their value, how often each occurs in a random net, and the nets to time whole.

    ``calibration`` nets fit the in-context model; ``holdout`` nets are never used in fitting and give its error.
    """

    space: str
    size_hw: tuple[int, int]
    classes: int
    keys: tuple[LatencyKey, ...]
    occurrences: Mapping[str, float]
    calibration: tuple[Genotype, ...]
    holdout: tuple[Genotype, ...]

    @property
    def nets(self) -> list[tuple[str, Genotype]]:
        """(role, genotype), the two roles interleaved so that a time limit cuts both alike."""
        roles = [("calibration", self.calibration), ("holdout", self.holdout)]
        placed = [((i + 0.5) / len(nets), (role, net)) for role, nets in roles for i, net in enumerate(nets)]
        return [item for _, item in sorted(placed, key=lambda pair: pair[0])]


def plan(
    space: SearchSpace,
    size_hw: tuple[int, int],
    classes: int,
    rng: np.random.Generator,
    *,
    calibration_nets: int = CALIBRATION_NETS,
    holdout_nets: int = 32,
    draws: Iterator[Decisions] | None = None,
) -> Plan:
    """List all keys of the space at one size and draw the nets.

    ``draws`` are decisions without end of the genotypes that the table is for, where those are not all of the space:
    the nets are taken from them, and the keys that they need come first.
    """
    counts = occurrences(space, size_hw, classes, rng)
    if draws is None:
        nets = spread_nets(space, size_hw, classes, rng, calibration_nets + holdout_nets)
    else:
        drawn = [space.decode(decisions).genotype for decisions in islice(draws, FOCUS_DRAWS)]
        focused = Counter(key for net in drawn for key in keys_of(expand(net, (3, *size_hw), classes)).values())
        counts = {key: FAR * count + focused[key] / len(drawn) for key, count in counts.items()}
        nets = drawn[: calibration_nets + holdout_nets]
    held = set(rng.permutation(len(nets))[:holdout_nets].tolist())
    return Plan(
        space=space.name,
        size_hw=size_hw,
        classes=classes,
        keys=tuple(by_value(counts)),
        occurrences={key.text: count for key, count in counts.items()},
        calibration=tuple(net for i, net in enumerate(nets) if i not in held),
        holdout=tuple(net for i, net in enumerate(nets) if i in held),
    )


def calibration_nets_for(seconds: float) -> int:
    """How many whole nets calibrate a table that is made in so many seconds."""
    return int(min(CALIBRATION_NETS, max(FEWEST_CALIBRATION_NETS, seconds / SECONDS_A_NET)))


def occurrences(
    space: SearchSpace, size_hw: tuple[int, int], classes: int, rng: np.random.Generator
) -> dict[LatencyKey, float]:
    """How often each kernel occurs in a random net.

    Where a node depends on too many choices for all of its kernels to be listed (a path through resolutions, states
    that are used or not), those of :data:`UNLISTED_DRAWS` random nets; what none of them needs is interpolated.
    """
    try:
        factors = space_factors(space, size_hw, classes, rng, most_values=MOST_VALUES)
    except NotFactored:
        drawn = Counter[LatencyKey]()
        for _ in range(UNLISTED_DRAWS):
            genotype = space.decode(random_decisions(space, rng)).genotype
            drawn.update(keys_of(expand(genotype, (3, *size_hw), classes)).values())
        return {key: count / UNLISTED_DRAWS for key, count in drawn.items()}
    return {key: count for key, count in factors.expected_counts().items() if isinstance(key, LatencyKey)}


def space_factors(
    space: SearchSpace,
    size_hw: tuple[int, int],
    classes: int,
    rng: np.random.Generator,
    *,
    most_values: float = math.inf,
) -> Factors:
    """The nodes of the space's graphs as functions of the choices; a node's value is its key."""

    def describe(row: Row) -> Described:
        return keys_of(graph_of_row(space, row, size_hw, classes))

    return factorise([len(choice.options) for choice in space.choices], describe, rng, most_values=most_values)


def graph_of_row(space: SearchSpace, row: Row, size_hw: tuple[int, int], classes: int) -> OpGraph:
    """The op graph of options given by index for every choice, active or not."""
    decisions = {choice.name: choice.options[i] for choice, i in zip(space.choices, row, strict=True)}
    return expand(space.decode(canonical(space, decisions)).genotype, (3, *size_hw), classes)


def by_value(counts: Mapping[LatencyKey, float]) -> list[LatencyKey]:
    """Keys ordered so that any beginning of the list serves best: often needed, and far from those before it.

    A key's worth is the root of how often it occurs times its distance, in log channels and resolution, to the nearest
    key already taken that it could be interpolated from, so that what is cut off has measured neighbours.
    """
    keys = list(counts)
    groups: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(kind(key), []).append(i)
    points = np.array([place(key) for key in keys])
    weight = np.sqrt([counts[key] for key in keys])
    worth = np.zeros(len(keys))
    for members in groups.values():
        worth[members] = _greedy_worth(points[members], weight[members])
    return [keys[i] for i in np.argsort(-worth, kind="stable")]


def _greedy_worth(
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]], weight: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> list[float]:
    """Farthest-point order within one kind; each point's worth at the moment it was taken, never increasing."""
    worth = [0.0] * len(points)
    distance = np.full(len(points), 10.0)
    last = math.inf
    for _ in range(len(points)):
        score = weight * (distance + 1e-3)
        best = int(np.argmax(score))
        last = min(last, float(score[best]))
        worth[best] = last
        distance = np.minimum(distance, np.abs(points - points[best]).sum(axis=1))
        weight = weight.copy()
        weight[best] = -1.0
    return worth


def spread_nets(
    space: SearchSpace, size_hw: tuple[int, int], classes: int, rng: np.random.Generator, count: int
) -> list[Genotype]:
    """Half drawn from the space, half drawn evenly over the logarithm of cost, so that cheap nets are there too."""
    plain = count - count // 2
    nets = [space.decode(space.sample(rng)).genotype for _ in range(plain)]
    pool = [space.decode(random_decisions(space, rng)).genotype for _ in range(8 * (count - plain))]
    costs = [_rough_cost(expand(net, (3, *size_hw), classes)) for net in pool]
    nets += [pool[i] for i in _even(costs, count - plain)]
    order = rng.permutation(len(nets))
    return [nets[i] for i in order]


def _even(costs: Sequence[float], count: int) -> list[int]:
    """Indices of ``count`` values spread evenly between the 1st and 95th percentile."""
    free = list(range(len(costs)))
    chosen = []
    if not free:
        return []
    for target in np.linspace(np.quantile(costs, 0.01), np.quantile(costs, 0.95), count):
        best = min(free, key=lambda i: abs(costs[i] - target))
        free.remove(best)
        chosen.append(best)
    return chosen


def _rough_cost(graph: OpGraph) -> float:
    """Log of multiply-accumulates plus traffic: good enough to tell cheap nets from dear ones."""
    return math.log(sum(rough_cost(key) for key in keys_of(graph).values()))
