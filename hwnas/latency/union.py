"""One plan for several spaces together, so that one table serves them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwnas.errors import HwnasError, TableError
from hwnas.ir.genotype import Genotype
from hwnas.latency.keys import LatencyKey
from hwnas.latency.plan import CALIBRATION_NETS, Plan, by_value, plan
from hwnas.spaces.base import SearchSpace

ALL = "all"
"""What the plan of all spaces is called, as if it were a space."""


def plan_union(
    spaces: Sequence[SearchSpace],
    size_hw: tuple[int, int],
    classes: int,
    rng: np.random.Generator,
    *,
    calibration_nets: int = CALIBRATION_NETS,
    holdout_nets: int = 32,
    say: Callable[[str], object] = lambda line: None,
) -> Plan:
    """Every key that any of the spaces can need, each once; the nets are drawn from all spaces alike.

    A space that has no networks of this size is left out, and ``say`` is told; if that is all, a TableError.
    """
    plans: list[Plan] = []
    for index, space in enumerate(spaces):
        nets = [_part(count, index, len(spaces)) for count in (calibration_nets, holdout_nets)]
        try:
            plans.append(plan(space, size_hw, classes, rng, calibration_nets=nets[0], holdout_nets=nets[1]))
        except HwnasError as error:
            say(f"left out: space {space.name}, {error.message}")
    if not plans:
        raise TableError(f"no space has networks of {size_hw[0]}x{size_hw[1]}", "choose a larger size")
    counts: dict[LatencyKey, float] = {}
    for each in plans:
        for key in each.keys:
            counts[key] = counts.get(key, 0.0) + each.occurrences[key.text] / len(plans)
    return Plan(
        space=ALL,
        size_hw=size_hw,
        classes=classes,
        keys=tuple(by_value(counts)),
        occurrences={key.text: count for key, count in counts.items()},
        calibration=_in_turn([each.calibration for each in plans]),
        holdout=_in_turn([each.holdout for each in plans]),
    )


def _part(count: int, index: int, parts: int) -> int:
    """The size of one part of ``count`` that is cut into equal ones; the first are larger by one."""
    return count // parts + (index < count % parts)


def _in_turn(groups: Sequence[Sequence[Genotype]]) -> tuple[Genotype, ...]:
    """The first of each group, the second of each, …, so that a time limit cuts all alike."""
    longest = max(map(len, groups))
    return tuple(group[i] for i in range(longest) for group in groups if i < len(group))
