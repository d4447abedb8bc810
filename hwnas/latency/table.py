"""The latency table: measured kernels of one setting, how to put them together, and how well that predicts nets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hwnas.errors import HwnasError, TableError
from hwnas.files import write_json
from hwnas.latency.contract import TimingContract
from hwnas.latency.keys import parse_key
from hwnas.latency.shipped import table_path

FORMAT = "hwnas-latency-table"
SCHEMA_VERSION = 1
AGAIN = "it is damaged or truncated: make it again with `hwnas profile`"


@dataclass(frozen=True)
class Entry:
    """One kernel timed alone, in milliseconds; ``spread`` is the relative half range over its passes."""

    ms: float
    spread: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """The in-context terms (see ``context.py``), and the residuals that intervals are taken from.

    A residual is (measured − predicted) / measured of a net that the fit had not seen.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    noise: float = 0.0
    nets: int = 0
    residuals: tuple[float, ...] = ()


@dataclass(frozen=True)
class Accuracy:
    """How a model's predictions of unseen whole nets compare with their measured p50."""

    nets: int
    mape: float
    within_5: float
    within_10: float
    kendall_tau: float
    bias: float


@dataclass(frozen=True)
class LatencyTable:
    """Kernels by key text, and everything needed to trust what is predicted from them.

    ``accuracy`` has ``calibrated`` and ``naive`` (the sum of kernels timed alone) on the same unseen nets.
    ``percentiles`` are p90 and p99 over p50 of whole nets. ``coverage`` is measured and planned, by ``kernels`` and
    ``nets``.
    """

    contract: TimingContract
    entries: Mapping[str, Entry]
    calibration: Calibration = field(default_factory=Calibration)
    accuracy: Mapping[str, Accuracy] = field(default_factory=dict)
    repeat_error: Mapping[str, float] = field(default_factory=dict)
    percentiles: Mapping[str, float] = field(default_factory=dict)
    coverage: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        for text, entry in self.entries.items():
            if not (math.isfinite(entry.ms) and entry.ms > 0):
                raise TableError(f"the latency table has {entry.ms} ms for {text}, which is not a time", AGAIN)

    @property
    def complete(self) -> bool:
        """Whether every planned kernel was measured."""
        measured, planned = self.coverage.get("kernels", (0, 0))
        return measured >= planned


def save_table(table: LatencyTable, path: Path) -> None:
    """Write the table as JSON, beside and renamed."""
    write_json(path, table_to_dict(table))


def load_table(path_or_name: Path | str) -> LatencyTable:
    """Read a table, from a file or by the name of one that comes with hwnas.

    One that is damaged, of a newer schema, or has a time that is none is a TableError.
    """
    path = table_path(path_or_name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "check the path, or make one with `hwnas profile`"
        raise TableError(f"cannot read the latency table {path}: {error.strerror or error}", hint) from error
    except UnicodeDecodeError as error:
        raise TableError(f"the latency table {path} is not text", AGAIN) from error
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except TableError as error:
        raise TableError(f"the latency table {path} {error.message}", error.hint) from error
    except ValueError as error:
        raise TableError(f"the latency table {path} is not valid JSON ({error})", AGAIN) from error
    try:
        return table_from_dict(document)
    except TableError as error:
        raise TableError(f"{path}: {error.message}", error.hint) from error


def table_to_dict(table: LatencyTable) -> dict[str, Any]:
    """The JSON document of a table."""
    return {
        "format": FORMAT,
        "schema_version": table.schema_version,
        "contract": table.contract.to_dict(),
        "accuracy": {name: asdict(accuracy) for name, accuracy in table.accuracy.items()},
        "repeat_error": dict(table.repeat_error),
        "percentiles": dict(table.percentiles),
        "coverage": {name: list(pair) for name, pair in table.coverage.items()},
        "provenance": dict(table.provenance),
        "calibration": {**asdict(table.calibration), "residuals": list(table.calibration.residuals)},
        "failures": dict(table.failures),
        "entries": {text: [entry.ms, entry.spread] for text, entry in sorted(table.entries.items())},
    }


def table_from_dict(document: object) -> LatencyTable:
    """The inverse of :func:`table_to_dict`; anything else is a TableError."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise TableError("this is not a latency table of hwnas", "make one with `hwnas profile`")
    version = document.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise TableError(f"this latency table has schema {version}, newer than {SCHEMA_VERSION}", "update hwnas")
    try:
        entries = {str(text): Entry(float(ms), float(spread)) for text, (ms, spread) in document["entries"].items()}
        for text in entries:
            parse_key(text)
        calibration = document["calibration"]
        return LatencyTable(
            contract=TimingContract.from_dict(document["contract"]),
            entries=entries,
            calibration=Calibration(**{**calibration, "residuals": tuple(map(float, calibration["residuals"]))}),
            accuracy={name: Accuracy(**values) for name, values in document["accuracy"].items()},
            repeat_error=_floats(document["repeat_error"]),
            percentiles=_floats(document["percentiles"]),
            coverage={name: (int(pair[0]), int(pair[1])) for name, pair in document["coverage"].items()},
            failures=dict(document["failures"]),
            provenance=dict(document["provenance"]),
        )
    except HwnasError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise TableError(f"the latency table has a missing or wrong part ({error!r})", AGAIN) from error


def check_setting(table: LatencyTable, contract: TimingContract, *, force: bool = False) -> None:
    """Refuse a table measured in another setting, naming each field that differs, unless ``force``."""
    names = table.contract.differences(contract)
    if names and not force:
        described = "; ".join(
            f"{name}: {getattr(table.contract, name)} in the table, {getattr(contract, name)} here" for name in names
        )
        raise TableError(
            f"the latency table is of another setting ({described})",
            "make a table in this setting with `hwnas profile`",
        )


def classes_of(table: LatencyTable) -> int | None:
    """The number of classes that a table is for: what it says, else that of its heads if they agree, else None."""
    said = table.provenance.get("classes")
    if isinstance(said, int):
        return said
    counts = {parse_key(text).params.get("classes") for text in table.entries if "classes=" in text}
    (count,) = counts if len(counts) == 1 else (None,)
    return count if isinstance(count, int) else None


def accuracy_of(predicted_ms: Sequence[float], measured_ms: Sequence[float]) -> Accuracy:
    """Error figures of predictions against measurements; ties count for nothing in Kendall's τ."""
    errors = [p / m - 1.0 for p, m in zip(predicted_ms, measured_ms, strict=True)]
    count = len(errors)
    if not count:
        return Accuracy(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    pairs = [(i, j) for i in range(count) for j in range(i)]
    agreement = sum(_sign(predicted_ms[i] - predicted_ms[j]) * _sign(measured_ms[i] - measured_ms[j]) for i, j in pairs)
    return Accuracy(
        nets=count,
        mape=sum(map(abs, errors)) / count,
        within_5=sum(abs(error) <= 0.05 for error in errors) / count,
        within_10=sum(abs(error) <= 0.10 for error in errors) / count,
        kendall_tau=agreement / len(pairs) if pairs else 0.0,
        bias=sum(errors) / count,
    )


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TableError(f"holds {twice!r} twice", AGAIN)
    return document


def _refuse_constant(name: str) -> float:
    raise TableError(f"holds {name}, which is not a time", AGAIN)
