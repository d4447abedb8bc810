"""Which latency tables a verb takes: those of its own setting, and any with ``--force``."""

from __future__ import annotations

from dataclasses import replace

from hwnas.errors import TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.measure import Setting
from hwnas.latency.table import LatencyTable, check_setting


def this_setting(size_hw: tuple[int, int], setting: Setting) -> TimingContract:
    """The timing contract that a table must agree with to be used here.

    HwnasError for an engine or a precision that does not exist; MissingPackage for an engine that is not installed.
    """
    from hwnas.exporters.engine_models import adapter_for, version_of

    device = adapter_for(setting.engine, setting.precision).fingerprint()
    return TimingContract(
        device=str(device["device"]),
        cores=int(device["cores"]),
        pinned=tuple(device["pinned"]),
        governor=str(device["governor"]),
        engine=setting.engine,
        engine_version=version_of(setting.engine),
        precision=setting.precision,
        batch=setting.batch,
        threads=setting.threads,
        size_hw=size_hw,
    )


def check_usable(table: LatencyTable, setting: TimingContract, *, force: bool) -> None:
    """Refuse a table of another setting, naming what differs, unless it is forced."""
    try:
        check_setting(table, setting, force=force)
    except TableError as error:
        raise TableError(error.message, f"{error.hint}, or use the table all the same with --force") from error


def check_usable_here(table: LatencyTable, size_hw: tuple[int, int], setting: Setting, *, force: bool) -> None:
    """Refuse a table of another machine, engine, precision, batch, size or threads, unless it is forced."""
    check_usable(table, this_setting(size_hw, setting), force=force)


def check_usable_at(table: LatencyTable, size_hw: tuple[int, int], *, force: bool) -> None:
    """Refuse a table of another input size, unless it is forced; its device may be any."""
    check_usable(table, replace(table.contract, size_hw=size_hw), force=force)
