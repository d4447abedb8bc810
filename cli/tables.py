"""Which latency tables a verb takes: those of its own setting, and any with ``--force``."""

from __future__ import annotations

from dataclasses import replace

from hwnas.errors import TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.table import LatencyTable, check_setting


def check_usable(table: LatencyTable, setting: TimingContract, *, force: bool) -> None:
    """Refuse a table of another setting, naming what differs, unless it is forced."""
    try:
        check_setting(table, setting, force=force)
    except TableError as error:
        raise TableError(error.message, f"{error.hint}, or use the table all the same with --force") from error


def check_usable_for(
    table: LatencyTable,
    *,
    engine: str,
    precision: str,
    threads: int,
    size_hw: tuple[int, int],
    batch: int = 1,
    inside: tuple[str, ...] | None = None,
    force: bool,
) -> None:
    """Refuse a table of another machine, or of another engine, precision, size, … than these, unless it is forced.

    ``inside``: what is timed beside the network; None leaves it to the table.
    """
    from hwnas.exporters.engine import engine_named
    from hwnas.latency.measure import ENGINES, device_fingerprint

    device = (ENGINES[engine].fingerprint if engine in ENGINES else device_fingerprint)()
    here = replace(
        table.contract,
        device=str(device["device"]),
        cores=int(device["cores"]),
        pinned=tuple(device["pinned"]),
        governor=str(device["governor"]),
        engine=engine,
        engine_version=engine_named(engine).available().version,
        precision=precision,
        threads=threads,
        size_hw=size_hw,
        batch=batch,
        inside=table.contract.inside if inside is None else inside,
    )
    check_usable(table, here, force=force)


def check_usable_at(table: LatencyTable, size_hw: tuple[int, int], *, force: bool) -> None:
    """Refuse a table of another input size, unless it is forced; its device may be any."""
    check_usable(table, replace(table.contract, size_hw=size_hw), force=force)
