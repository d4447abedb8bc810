"""FasterSeg's lookup table (arXiv 1912.10917): blocks on a GTX 1080 Ti in TensorRT 5.1, written down as JSON facts.

The document has ``entries``, a list of objects with ``key``, ``op``, ``h``, ``w``, ``latency_ms`` and, depending on the
op, ``c_in``, ``c_out``, ``stride``, ``kernel``. A row becomes the key of what its authors had in the engine when they
took the time (``latency/operations.py`` and ``latency/seg_oprs.py`` of their repository):

- ``ConvNorm`` and ``BasicResidual1x`` are one convolution, BatchNorm and ReLU, ``BasicResidual2x`` two;
- ``BasicResidual_downup_*`` are zoomed, with nearest resizing;
- ``FactorizedReduce`` of stride 2 is one 1x1 convolution (they train two halves, which TensorRT 5.1 could not slice),
  and of stride 1 a wire, whatever its output channels;
- ``ff`` is a 1x1 convolution, ``head`` a 3x3 and a 1x1 convolution, of half the channels if there are more than 256.

So one kernel may have several rows, timed at different moments. Then ``ConvNorm``'s time stands, a wire's that of equal
channels, and the others make its spread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.errors import TableError
from hwnas.files import read_json
from hwnas.latency.contract import TimingContract
from hwnas.latency.imported import Row, checked_key, checked_ms, row_error, table_of
from hwnas.latency.keys import LatencyKey
from hwnas.latency.table import Entry, LatencyTable
from hwnas.shapes import Value

CONTRACT = TimingContract(
    device="NVIDIA GeForce GTX 1080 Ti",
    cores=0,
    engine="tensorrt",
    engine_version="5.1",
    precision="fp32",
    threads=1,
    size_hw=(1024, 2048),
    inside=(),
    warmup="10 runs",
    estimator="mean over about 3 s of runs",
    clock="wall",
)
"""As their ``compute_latency_ms_tensorrt`` times, copies not included. How many cores the host had is not known."""
CLASSES = 19
PROVENANCE = {
    "paper": "arXiv 1912.10917 (FasterSeg)",
    "hardware": "NVIDIA GeForce GTX 1080 Ti, TensorRT 5.1, fp32, batch 1",
    "classes": CLASSES,
    "notes": [
        "zoomed ops were timed with nearest resizing, while FasterSeg trains them with bilinear resizing",
        "resizing and concatenation between blocks, and the last upsampling, were not timed",
    ],
}
WIDE_HEAD = 256
"""A head with more input channels works on half of them."""


def read_fasterseg(path: Path) -> LatencyTable:
    """The table in ``path``; anything that is not one is a TableError, with the number of the first wrong entry."""
    document = read_json(path, "FasterSeg table")
    entries = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise TableError("it is no FasterSeg table: it has no list of `entries`", "give --format csv for other tables")
    timed = [_timed(number, each) for number, each in enumerate(entries, start=1)]
    _refuse_twice([str(each["key"]) for each in entries])
    source = document.get("source")
    provenance = {**({"source": source} if isinstance(source, str) else {}), **PROVENANCE}
    merged = _merged(timed)
    return table_of(path, merged, CONTRACT, format_name="fasterseg", read=len(entries), provenance=provenance)


def key_of(number: int, entry: Mapping[str, Any]) -> LatencyKey:
    """The key of what was timed for an entry; an op that is none of theirs is a TableError."""
    op = _text(number, entry, "op")
    if op not in _READERS:
        raise row_error(number, f"has the op {op!r}, which is none of FasterSeg's", f"they are: {', '.join(_READERS)}")
    name, channels_in, params = _READERS[op](number, entry)
    shape = (channels_in, _whole(number, entry, "h"), _whole(number, entry, "w"))
    return checked_key(number, LatencyKey(name, params, (shape,)))


Read = tuple[str, int, dict[str, Value]]
"""Op, input channels, parameters."""


def _convolution(op: str, **params: Value) -> Callable[[int, Mapping[str, Any]], Read]:
    def read(number: int, entry: Mapping[str, Any]) -> Read:
        given: dict[str, Value] = {name: _whole(number, entry, field) for name, field in _FIELDS.items()}
        return op, _whole(number, entry, "c_in"), {**given, **params}

    return read


_FIELDS = {"channels": "c_out", "stride": "stride"}


def _conv_norm(number: int, entry: Mapping[str, Any]) -> Read:
    return _convolution(f"conv_{(kernel := _whole(number, entry, 'kernel'))}x{kernel}")(number, entry)


def _factorized_reduce(number: int, entry: Mapping[str, Any]) -> Read:
    if _whole(number, entry, "stride") == 1:
        return "skip_connect", _whole(number, entry, "c_in"), {}
    return _convolution("conv_1x1")(number, entry)


def _fusion(number: int, entry: Mapping[str, Any]) -> Read:
    match = re.fullmatch(r"ff_H\d+_W\d+_C(\d+)", _text(number, entry, "key"))
    if not match:
        raise row_error(number, f"has the key {entry['key']!r}, which does not end with its channels, like _C128")
    return "conv_1x1", int(match[1]), {"channels": int(match[1])}


def _head(number: int, entry: Mapping[str, Any]) -> Read:
    channels = _whole(number, entry, "c_in")
    inside = channels if channels <= WIDE_HEAD else channels // 2
    return "conv_seg_head", channels, {"channels": inside, "classes": _whole(number, entry, "c_out")}


_READERS: dict[str, Callable[[int, Mapping[str, Any]], Read]] = {
    "ConvNorm": _conv_norm,
    "BasicResidual1x": _convolution("conv_3x3"),
    "BasicResidual2x": _convolution("double_conv_3x3"),
    "BasicResidual_downup_1x": _convolution("zoomed_conv_3x3", interpolation="nearest"),
    "BasicResidual_downup_2x": _convolution("zoomed_double_conv_3x3", interpolation="nearest"),
    "FactorizedReduce": _factorized_reduce,
    "ff": _fusion,
    "head": _head,
}


def _timed(number: int, entry: object) -> tuple[Row, bool]:
    """The entry as a row, and whether its time stands where its kernel has several."""
    if not isinstance(entry, dict):
        raise row_error(number, "is not an object")
    if _whole(number, entry, "dilation", 1) != 1:
        raise row_error(number, f"has dilation {entry['dilation']}, which no block of FasterSeg has")
    _text(number, entry, "key")
    key = key_of(number, entry)
    if "latency_ms" not in entry:
        raise row_error(number, "lacks its field 'latency_ms'")
    row = Row(number, key, Entry(checked_ms(number, entry["latency_ms"], "latency_ms")))
    again = entry["op"] == "BasicResidual1x" or (key.op == "skip_connect" and entry["c_in"] != entry.get("c_out"))
    return row, not again


def _merged(timed: Sequence[tuple[Row, bool]]) -> list[Row]:
    """One row a kernel: the one that stands, its spread half the range of all over it."""
    groups: dict[str, list[tuple[Row, bool]]] = {}
    for row, stands in timed:
        groups.setdefault(row.key.text, []).append((row, stands))
    merged = []
    for group in groups.values():
        standing = [row for row, stands in group if stands] or [group[0][0]]
        if len(standing) > 1:
            raise row_error(standing[1].number, f"times {standing[0].key.text} again, as row {standing[0].number} does")
        times = [row.entry.ms for row, _ in group]
        ms = standing[0].entry.ms
        merged.append(Row(standing[0].number, standing[0].key, Entry(ms, (max(times) - min(times)) / 2 / ms)))
    return merged


def _refuse_twice(keys: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for number, key in enumerate(keys, start=1):
        if first.setdefault(key, number) != number:
            raise row_error(number, f"has the key {key} again, which row {first[key]} has")


def _whole(number: int, entry: Mapping[str, Any], field: str, default: int | None = None) -> int:
    value = entry.get(field, default)
    if value is None:
        raise row_error(number, f"lacks its field {field!r}")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise row_error(number, f"has {value!r} as {field}, which is not a whole number of at least 1")
    return value


def _text(number: int, entry: Mapping[str, Any], field: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str):
        raise row_error(number, f"lacks its field {field!r}" if value is None else f"has {value!r} as {field}, no text")
    return value
