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


def check_usable_at(table: LatencyTable, size_hw: tuple[int, int], *, force: bool) -> None:
    """Refuse a table of another input size, unless it is forced; its device may be any."""
    check_usable(table, replace(table.contract, size_hw=size_hw), force=force)
