"""The profile stage: a space's kernels and nets exported, timed in ONNX Runtime, and made into a latency table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.cli.stages.reach import within_reach
from hwnas.latency.contract import TimingContract
from hwnas.latency.measure import device_fingerprint, onnxruntime_version
from hwnas.latency.table import LatencyTable, check_setting, load_table, save_table
from hwnas.spaces.base import SPACES

if TYPE_CHECKING:
    from hwnas.progress import Progress

FOCUS = 0.9
"""Real networks reach about half of the peak rate: this part of the budget at the peak is nearly twice the budget."""


def this_setting(size_hw: tuple[int, int], threads: int) -> TimingContract:
    """The setting that a table must have been measured in to be used here."""
    device = device_fingerprint()
    return TimingContract(
        device=str(device["device"]),
        cores=int(device["cores"]),
        pinned=tuple(device["pinned"]),
        governor=str(device["governor"]),
        engine="onnxruntime",
        engine_version=onnxruntime_version(),
        precision="fp32",
        threads=threads,
        size_hw=size_hw,
    )


def check_table(table: LatencyTable, size_hw: tuple[int, int], threads: int, *, force: bool = False) -> None:
    """Refuse a table of another machine, engine, size or number of threads; TableError names the first difference."""
    check_setting(table, this_setting(size_hw, threads), force=force)


def profile_space(
    space: str,
    size_hw: tuple[int, int],
    classes: int,
    *,
    threads: int,
    seconds: float,
    table: Path,
    seed: int,
    progress: Progress,
    focus_ms: float | None = None,
) -> LatencyTable:
    """Measure and write ``table``, within ``seconds``; an interrupted profile goes on where it was.

    With ``focus_ms``, the table is for budgets about that: it is led by genotypes that could be had within twice that.
    """
    from hwnas.exporters.fragments import assemble_bytes
    from hwnas.exporters.kernels import KernelExporter
    from hwnas.exporters.peak import peak_macs_per_ms
    from hwnas.latency.profile import profile

    draws = None
    if focus_ms is not None:
        rate = peak_macs_per_ms("onnxruntime", threads=threads)
        limit_ms = FOCUS * focus_ms
        draws = within_reach(SPACES.get(space), size_hw, classes, macs_per_ms=rate, limit_ms=limit_ms, seed=seed)
    return profile(
        SPACES.get(space),
        size_hw,
        classes,
        threads=threads,
        seconds_limit=seconds,
        export_ops=KernelExporter(seed=seed),
        assemble=assemble_bytes,
        out_path=table,
        rng=np.random.default_rng([seed, 1]),
        progress=progress,
        draws=draws,
    )


def add_missing(
    path: Path, space: str, genotype: str | None, *, seconds: float, seed: int, progress: Progress
) -> LatencyTable:
    """Time what the table in ``path`` lacks of ``space``, or of one network, and write it back.

    Raises TableError if the table was measured in another setting than this machine's.
    """
    from hwnas.exporters.kernels import KernelExporter
    from hwnas.latency.keys import LatencyKey, keys_of
    from hwnas.latency.plan import space_factors
    from hwnas.latency.remeasure import with_missing
    from hwnas.skeletons.base import expand
    from hwnas.zoo.catalog import resolve_genotype

    table = load_table(path)
    size_hw, classes = table.contract.size_hw, int(table.provenance["classes"])
    check_table(table, size_hw, table.contract.threads)
    if genotype is not None:
        wanted = list(keys_of(expand(resolve_genotype(genotype), (3, *size_hw), classes)).values())
    else:
        factors = space_factors(SPACES.get(space), size_hw, classes, np.random.default_rng([seed, 1]))
        wanted = [key for key in factors.values if isinstance(key, LatencyKey)]
    completed = with_missing(
        table, wanted, export_ops=KernelExporter(seed=seed), progress=progress, seconds_limit=seconds
    )
    save_table(completed, path)
    return completed
