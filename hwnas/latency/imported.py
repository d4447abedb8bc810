"""What all formats of imported tables share: rows and what is wrong with them, and the table that they make."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.errors import HwnasError, TableError
from hwnas.files import sha256_of
from hwnas.latency.contract import TimingContract
from hwnas.latency.keys import LatencyKey
from hwnas.latency.table import Entry, LatencyTable
from hwnas.ops.spec import OPS

ESTIMATOR = "as imported"


@dataclass(frozen=True)
class Row:
    """One kernel of an imported table. ``number`` is its row, as errors name it."""

    number: int
    key: LatencyKey
    entry: Entry


def table_of(
    path: Path,
    rows: Sequence[Row],
    contract: TimingContract,
    *,
    format_name: str,
    read: int,
    provenance: Mapping[str, Any],
) -> LatencyTable:
    """The table of all rows, made from ``read`` rows of a file; a key that occurs twice, or no row, is a TableError."""
    entries: dict[str, Entry] = {}
    numbers: dict[str, int] = {}
    for row in rows:
        if row.key.text in entries:
            raise row_error(row.number, f"holds {row.key.text} again, which row {numbers[row.key.text]} has")
        entries[row.key.text], numbers[row.key.text] = row.entry, row.number
    if not entries:
        raise TableError("it has no rows, so there is nothing to import", "check that it is the file you mean")
    imported = {"format": format_name, "file": path.name, "sha256": sha256_of(path), "rows": read}
    return LatencyTable(
        contract=contract,
        entries=entries,
        coverage={"kernels": (len(entries), len(entries)), "nets": (0, 0)},
        provenance={"imported": imported, **provenance},
    )


def row_error(number: int, complaint: str, hint: str = "") -> TableError:
    """What is wrong in a row, in the form that all formats use."""
    return TableError(f"row {number} {complaint}", hint or "correct the row, or leave it out")


def checked_ms(number: int, value: object, name: str) -> float:
    """A time in milliseconds; anything but a positive number is a TableError naming the row."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise row_error(number, f"has {value!r} as {name}, which is not a number")
    if not math.isfinite(value) or value <= 0:
        raise row_error(number, f"has {value} ms as {name}, which is not a time")
    return float(value)


def checked_key(number: int, key: LatencyKey) -> LatencyKey:
    """The key with its parameters completed; an op, parameter or shape that does not fit is a TableError."""
    try:
        spec = OPS.get(key.op)
        if spec.arity not in (None, len(key.input_shapes)):
            raise TableError(f"op {key.op} takes {spec.arity} inputs, not {len(key.input_shapes)}")
        complete = LatencyKey(key.op, spec.complete(key.params), key.input_shapes)
        if min(min(shape) for shape in key.input_shapes) < 1:
            raise TableError("its input shape has a zero")
        spec.infer_shape(list(complete.input_shapes), complete.params)
        return complete
    except HwnasError as error:
        raise row_error(number, f"is no kernel: {error.message}", error.hint) from error
