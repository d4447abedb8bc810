"""A latency table from a CSV file: a row a kernel, the setting in columns or given beside.

A kernel is given by ``key`` (the text that our own tables use) or by ``op`` and ``inputs`` (shapes CxHxW, joined by +)
with a column for each parameter; an empty cell is the op's default. ``ms`` is its time, ``spread`` optional. The
setting is ``device``, ``engine``, ``engine_version``, ``precision``, ``batch``, ``threads`` and ``size`` (HxW), each a
column with one value in all rows, or given by the caller.
"""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwnas.errors import HwnasError, TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.imported import ESTIMATOR, Row, checked_key, checked_ms, row_error, table_of
from hwnas.latency.keys import LatencyKey, parse_key
from hwnas.latency.table import Entry, LatencyTable
from hwnas.ops.spec import OPS
from hwnas.shapes import Params, Value, parse_size

SETTING = ("device", "engine", "engine_version", "precision", "batch", "threads", "size")
NEEDED = ("device", "engine", "precision", "size")
ASSUMED = {"engine_version": "unknown", "batch": "1", "threads": "1"}
"""What a setting has where neither a column nor the caller says."""
HEADER = "write a header like: op,inputs,channels,stride,ms"
_SHAPES = re.compile(r"\d+x\d+x\d+(\+\d+x\d+x\d+)*")


def read_csv(path: Path, given: Mapping[str, str], source: str = "") -> LatencyTable:
    """The table in ``path``; ``given`` has parts of the setting by name, as texts.

    Raises TableError for what is missing, unknown, contradictory or not a time, naming the row (the header is row 1).
    """
    columns, cells = _cells(path)
    _check_columns(columns)
    rows = [_row(number, each) for number, each in cells]
    contract = _contract(_setting(cells, columns, given))
    provenance = {"source": source} if source else {}
    return table_of(path, rows, contract, format_name="csv", read=len(rows), provenance=provenance)


Cells = dict[str, str]


def _cells(path: Path) -> tuple[list[str], list[tuple[int, Cells]]]:
    """The columns' names, and (row, its cells) for each row that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            columns = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except OSError as error:
        raise TableError(f"it cannot be read: {error.strerror or error}", "check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"it is not CSV in UTF-8 ({error})", "save it as comma-separated text") from error
    found = []
    for number, cells in rows:
        if not any(cells):
            continue
        if len(cells) != len(columns):
            raise row_error(number, f"has {len(cells)} cells, and the header {len(columns)}", "quote cells with commas")
        found.append((number, dict(zip(columns, cells, strict=True))))
    return columns, found


def _check_columns(columns: Sequence[str]) -> None:
    for name in columns:
        if columns.count(name) > 1:
            raise TableError(f"its column {name!r} occurs twice", "rename one or leave it out")
    if "ms" not in columns:
        raise TableError("it has no column 'ms'", HEADER)
    if "key" not in columns and not {"op", "inputs"} <= set(columns):
        missing = "key" if "op" not in columns else "inputs"
        raise TableError(f"it has no column {missing!r}: kernels are given by 'key', or by 'op' and 'inputs'", HEADER)
    params = {name for op in OPS.names() for name in OPS.get(op).defaults}
    known = {"key", "op", "inputs", "ms", "spread", *SETTING, *params}
    for name in columns:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            offer = f"did you mean {' or '.join(near)}?" if near else f"columns are: {', '.join(sorted(known))}"
            raise TableError(f"it has a column {name!r} that is neither a parameter of an op nor known", offer)


def _row(number: int, cells: Cells) -> Row:
    entry = Entry(checked_ms(number, _number(number, cells, "ms"), "ms"))
    if cells.get("spread"):
        spread = _number(number, cells, "spread")
        if not 0 <= spread < math.inf:
            raise row_error(number, f"has {spread} as spread, which is not a share")
        entry = Entry(entry.ms, spread)
    return Row(number, checked_key(number, _key(number, cells)), entry)


def _key(number: int, cells: Cells) -> LatencyKey:
    if cells.get("key"):
        try:
            return parse_key(cells["key"])
        except TableError as error:
            raise row_error(number, f"is no kernel: {error.message}", error.hint) from error
    for name in ("op", "inputs"):
        if not cells.get(name):
            raise row_error(number, f"has no {name}")
    if not _SHAPES.fullmatch(cells["inputs"]):
        raise row_error(number, f"has the inputs {cells['inputs']!r}", "write shapes as CxHxW, joined by +: 24x90x120")
    shapes = [tuple(map(int, part.split("x"))) for part in cells["inputs"].split("+")]
    return LatencyKey(cells["op"], _params(cells), tuple((c, h, w) for c, h, w in shapes))


def _params(cells: Cells) -> Params:
    """Cells that are filled and belong to a parameter; one that the op does not have is refused by the op."""
    own = {"key", "op", "inputs", "ms", "spread", *SETTING}
    return {name: _value(text) for name, text in cells.items() if text and name not in own}


def _value(text: str) -> Value:
    """``3`` → 3, ``0.5`` → 0.5, ``true`` → True, ``1 2 3`` → (1, 2, 3), else the text."""
    if " " in text:
        return tuple(_value(part) for part in text.split())
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _number(number: int, cells: Cells, name: str) -> float:
    try:
        return float(cells[name])
    except ValueError:
        raise row_error(number, f"has {cells[name]!r} as {name}, which is not a number") from None


def _setting(cells: Sequence[tuple[int, Cells]], columns: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Every part of the setting, from its column or as given."""
    setting = {}
    for name in SETTING:
        value = given.get(name, "")
        for number, each in cells if name in columns else ():
            if value and each[name] != value:
                raise row_error(
                    number, f"has {name} {each[name]!r}, not {value!r}", "a table is of one setting: split the file"
                )
            value = each[name]
        setting[name] = value or ASSUMED.get(name, "")
        if not setting[name] and name in NEEDED:
            raise TableError(
                f"neither a column nor an option says its {name}", f"add the column {name!r} or give --{name}"
            )
    return setting


def _contract(setting: Mapping[str, str]) -> TimingContract:
    try:
        size_hw = parse_size(setting["size"])
    except HwnasError as error:
        raise TableError(f"its {error.message}", error.hint) from error
    return TimingContract(
        device=setting["device"],
        cores=0,
        engine=setting["engine"],
        engine_version=setting["engine_version"],
        precision=setting["precision"],
        threads=_count(setting, "threads"),
        size_hw=size_hw,
        batch=_count(setting, "batch"),
        inside=(),
        estimator=ESTIMATOR,
    )


def _count(setting: Mapping[str, str], name: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", setting[name]):
        raise TableError(
            f"its {name} is {setting[name]!r}, which is not a whole number of at least 1", f"correct its {name}"
        )
    return int(setting[name])
