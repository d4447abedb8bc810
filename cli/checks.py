"""What ``hwnas doctor`` looks at: the machine, and each thing that hwnas needs or can use.

A check never raises; what is wrong becomes its status and a hint.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import hwnas

Status = Literal["ok", "note", "optional", "problem"]
LOW_DISK_GIB = 2.0
LOW_MEMORY_GIB = 2.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report. ``note``: works, but worth knowing. ``optional``: not installed, not needed."""

    name: str
    status: Status
    value: str
    hint: str = ""


def all_checks() -> list[Check]:
    """Every check, in the order of the report."""
    from hwnas.cli.engine_checks import (
        check_both_onnxruntimes,
        check_engines,
        check_graphviz,
        check_onnxruntime,
        check_precisions,
        check_torch,
    )

    steps: list[Callable[[], list[Check]]] = [
        check_python,
        check_processor,
        check_load,
        check_memory,
        check_disk,
        check_torch,
        check_onnxruntime,
        check_both_onnxruntimes,
        check_engines,
        check_precisions,
        check_graphviz,
    ]
    return [check for step in steps for check in step()]


def check_python() -> list[Check]:
    """Versions of hwnas, Python and the operating system."""
    version = platform.python_version()
    fits = sys.version_info >= (3, 11)
    hint = "" if fits else "hwnas needs Python 3.11 or newer"
    return [
        Check("hwnas", "ok", hwnas.__version__),
        Check("python", "ok" if fits else "problem", f"{version} ({sys.executable})", hint),
        Check("platform", "ok", platform.platform()),
    ]


def check_processor() -> list[Check]:
    """Its name, its cores, and whether its clock is held steady."""
    from hwnas.latency.measure import device_fingerprint

    device = device_fingerprint()
    pinned = device["pinned"]
    cores = f"{device['cores']} cores" + (f", confined to {len(pinned)} of them" if pinned else "")
    governor = str(device["governor"])
    steady = governor in ("performance", "unknown")
    hint = (
        "" if steady else "the clock changes with the load; steadier latencies: cpupower frequency-set -g performance"
    )
    return [
        Check("processor", "ok", f"{device['device']}, {cores}"),
        Check("governor", "ok" if steady else "note", governor, hint),
    ]


def check_load() -> list[Check]:
    """Whether other programs are running, which would disturb timing."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        return []
    busy = load > 0.5
    hint = "other programs are running: latencies measured now are less certain" if busy else ""
    return [Check("load", "note" if busy else "ok", f"{load:.1f} in the last minute", hint)]


def check_memory() -> list[Check]:
    """Memory in all and free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1}
        total, free = kib["MemTotal"] / 2**20, kib["MemAvailable"] / 2**20
    except (OSError, KeyError, ValueError):
        return []
    low = free < LOW_MEMORY_GIB
    hint = f"training needs about {LOW_MEMORY_GIB:.0f} GiB: close other programs" if low else ""
    return [Check("memory", "note" if low else "ok", f"{free:.1f} of {total:.1f} GiB free", hint)]


def check_disk() -> list[Check]:
    """Free space where run directories would be written."""
    usage = shutil.disk_usage(Path.cwd())
    free = usage.free / 2**30
    low = free < LOW_DISK_GIB
    hint = f"a run with cached images needs up to {LOW_DISK_GIB:.0f} GiB" if low else ""
    return [Check("disk", "note" if low else "ok", f"{free:.1f} GiB free in {Path.cwd()}", hint)]
