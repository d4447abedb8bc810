"""What the seconds of a budget are counted by: the wall clock, or the CPU time that a process was given."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

Clock = Callable[[], float]
"""Seconds since some moment; only differences mean anything."""


def cpu_seconds() -> float:
    """CPU time of all threads of this process, and of the children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


CLOCKS: Mapping[str, Clock] = MappingProxyType({"wall": time.monotonic, "cpu": cpu_seconds})
"""By name. By ``cpu`` a process that has to share its cores gets as much done as one that has them for itself."""
