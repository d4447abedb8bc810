"""How many cores this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Those that it is not kept from by its affinity, where the system has such a thing."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
