"""Other people's tables, made into ours.

An imported table has what its authors measured and nothing else: no whole nets, so no calibration and no accuracy. It
predicts by the plain sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hwnas.errors import HwnasError, TableError
from hwnas.latency.import_csv import read_csv
from hwnas.latency.import_fasterseg import read_fasterseg
from hwnas.latency.table import LatencyTable

FORMATS = ("fasterseg", "csv")


def import_table(path: Path, format_name: str, given: Mapping[str, str], source: str = "") -> LatencyTable:
    """The table in a file of another format; ``given`` and ``source`` are for a CSV (see :func:`read_csv`).

    Raises TableError naming the file and, where a row is wrong, its number.
    """
    try:
        if format_name == "csv":
            return read_csv(path, given, source)
        if format_name != "fasterseg":
            raise TableError(f"unknown format {format_name!r}", f"formats are: {', '.join(FORMATS)}")
        if surplus := [name for name, value in {**given, "source": source}.items() if value]:
            raise TableError(
                f"a FasterSeg table says its own {surplus[0].replace('_', ' ')}", "leave the option out, it is for CSV"
            )
        return read_fasterseg(path)
    except HwnasError as error:
        where = "" if str(path) in error.message else f"{path}: "
        raise TableError(f"{where}{error.message}", error.hint) from error
