"""From a journal of blocks to one latency a model: which clock, estimator and drift correction repeat best here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import TableError
from hwnas.latency.measure import CALM, MeasureError, quick_ms, read_lines

Floats = np.ndarray[Any, np.dtype[np.float64]]

ESTIMATORS = ("minimum", "lowest decile", "lower quartile", "median", "trimmed mean")
"""In the order of the numbers that a block carries."""
MEDIAN, LOW = ESTIMATORS.index("median"), ESTIMATORS.index("lowest decile")

QUIET = 0.1
"""Share of the blocks of whole nets that are taken to have run undisturbed."""


@dataclass(frozen=True)
class Timing:
    """A latency in milliseconds; ``spread`` is the relative half range over its passes (0 with one pass)."""

    ms: float
    spread: float
    passes: int


@dataclass(frozen=True)
class Summary:
    """What a journal says. Kernels are given by the estimator that repeats best; nets by :meth:`_Reader.quiet_medians`.

    ``repeat_error`` maps ``kernel`` and ``net`` to the median relative difference of two passes, ``evidence`` each
    estimator (``"… / drift"`` if corrected by the reference kernel) to the kernels' repeat error.
    """

    header: Mapping[str, Any]
    clock: str
    estimator: str
    timings: Mapping[str, Timing]
    failures: Mapping[str, str]
    repeat_error: Mapping[str, float]
    evidence: Mapping[str, float]
    percentiles: Mapping[str, float]
    reference_ms: float
    reference_drift: float
    runs: int
    disturbed: float


def summarise(path: Path, nets: Sequence[str]) -> Summary:
    """Read a journal; ``nets`` names the models that are whole nets. A damaged or empty journal is a TableError."""
    try:
        lines = read_lines(path)
        if not lines or "engine" not in lines[0]:
            raise MeasureError(f"the measurements {path} lack their header: they are empty or truncated")
        return _summarise(lines, set(nets))
    except MeasureError as error:
        raise TableError(str(error), "delete the file and measure again") from error
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise TableError(
            f"the measurements {path} are damaged ({error})", "delete the file and measure again"
        ) from error


def _summarise(lines: Sequence[Mapping[str, Any]], nets: set[str]) -> Summary:
    header = lines[0]
    blocks = [{**line, "place": place} for place, line in enumerate(lines) if place and "error" not in line]
    for line in blocks:
        times = [*line["cpu_ms"], *line["wall_ms"], *line.get("device_ms", ())]
        if not np.isfinite(times).all() or min(times) <= 0:
            raise ValueError(f"{line['name']} has a time that is not positive")
    models = calm_blocks([line for line in blocks if line["name"] != "reference"])
    references = [line for line in blocks if line["name"] == "reference"]
    clock = "device" if any("device_ms" in line for line in blocks) else "cpu" if header["threads"] == 1 else "wall"
    reader = _Reader(references, clock)
    kernels = [line for line in models if line["name"] not in nets]
    evidence = reader.evidence(kernels)
    best = min(evidence, key=lambda name: evidence[name]) if evidence else ESTIMATORS[MEDIAN]
    estimator, corrected = ESTIMATORS.index(best.removesuffix(" / drift")), best.endswith(" / drift")
    whole = [line for line in models if line["name"] in nets]
    timings = reader.timings(kernels, estimator, corrected)
    timings |= reader.quiet_medians(whole, corrected)
    level = reader.levels
    return Summary(
        header=header,
        clock=clock,
        estimator=best,
        timings=timings,
        failures={line["name"]: line["error"] for line in lines[1:] if "error" in line},
        repeat_error={
            "kernel": reader.repeat_error(kernels, estimator, corrected),
            "net": reader.repeat_error(whole, LOW, corrected),
        },
        evidence=evidence,
        percentiles=_percentiles(whole),
        reference_ms=float(np.median(level)) if len(level) else 0.0,
        reference_drift=float(np.quantile(level, 0.9) / np.median(level) - 1.0) if len(level) else 0.0,
        runs=int(np.median([line["runs"] for line in models])) if models else 0,
        disturbed=float(np.mean([line["disturbed"] for line in models])) if models else 0.0,
    )


def calm_blocks(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The blocks in quick moments of the machine, by the reference kernel beside them; of a model that has none, those
    in its least slow moments. One that was timed in a hurry, without a look at the machine, counts as slow."""
    levels = [level for line in lines for level in line.get("beside_ms", ())]
    if not levels:
        return list(lines)
    limit = CALM * quick_ms(levels)
    slowness = [max(line.get("beside_ms") or [np.inf]) for line in lines]
    least: dict[str, float] = {}
    for line, level in zip(lines, slowness, strict=True):
        least[line["name"]] = min(least.get(line["name"], np.inf), level)
    return [
        line for line, level in zip(lines, slowness, strict=True) if level <= max(limit, 1.02 * least[line["name"]])
    ]


class _Reader:
    """Values of blocks on one clock, as they are or divided by how slow the reference kernel was around them.

    Around them in the journal: its order is certain, while the time of day can be set back, or differ between lives.
    """

    def __init__(self, references: Sequence[Mapping[str, Any]], clock: str) -> None:
        self.field = f"{clock}_ms"
        self.places = np.array([float(line["place"]) for line in references])
        self.levels = np.array([float(line[self.field][MEDIAN]) for line in references])
        self.smooth = _running_median(self.levels)

    def value(self, line: Mapping[str, Any], estimator: int, corrected: bool) -> float:
        value = float(line[self.field][estimator])
        if corrected and len(self.places):
            value *= float(np.median(self.levels) / np.interp(float(line["place"]), self.places, self.smooth))
        return value

    def grouped(self, lines: Sequence[Mapping[str, Any]], estimator: int, corrected: bool) -> dict[str, list[float]]:
        groups: dict[str, list[float]] = {}
        for line in lines:
            groups.setdefault(str(line["name"]), []).append(self.value(line, estimator, corrected))
        return groups

    def timings(self, lines: Sequence[Mapping[str, Any]], estimator: int, corrected: bool) -> dict[str, Timing]:
        """Over the passes the least, since what others do on the machine only adds; corrected ones err both ways."""
        over_passes = np.median if corrected else np.min
        return {
            name: Timing(float(over_passes(values)), float(np.ptp(values) / 2 / np.median(values)), len(values))
            for name, values in self.grouped(lines, estimator, corrected).items()
        }

    def quiet_medians(self, lines: Sequence[Mapping[str, Any]], corrected: bool) -> dict[str, Timing]:
        """p50 where nothing disturbs: the lowest decile, times what the median is to it in the quietest blocks.

        With one short block a net, its own median holds what others did to the machine just then. On a shared machine
        the lowest decile of one block was nearer to the least median of five others than the median of that block, and
        strayed a fifth less (1.8 to 2.2% against 2.3 to 3.0%, 100 nets of ``realtime``).
        """
        spread = [float(line[self.field][MEDIAN]) / float(line[self.field][LOW]) for line in lines]
        ratio = float(np.quantile(spread, QUIET)) if spread else 1.0
        low = self.timings(lines, LOW, corrected)
        return {name: replace(timing, ms=timing.ms * ratio) for name, timing in low.items()}

    def repeat_error(self, lines: Sequence[Mapping[str, Any]], estimator: int, corrected: bool) -> float:
        """Median over models of |first − second pass| / mean; 0 where nothing was measured twice."""
        pairs = [v[:2] for v in self.grouped(lines, estimator, corrected).values() if len(v) > 1]
        return float(np.median([abs(a - b) / (a + b) * 2 for a, b in pairs])) if pairs else 0.0

    def evidence(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Repeat error of every estimator, without and with drift correction; empty if nothing was timed twice."""
        errors = {}
        for corrected, suffix in ((False, ""), (True, " / drift")):
            for index, name in enumerate(ESTIMATORS):
                errors[name + suffix] = self.repeat_error(lines, index, corrected)
        return errors if any(errors.values()) else {}


def _running_median(values: Floats, reach: int = 2) -> Floats:
    return np.array([np.median(values[max(0, i - reach) : i + reach + 1]) for i in range(len(values))])


def _percentiles(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """p90 and p99 over p50 of wall time, pooled over the nets' samples, each relative to its block's median."""
    pooled = [np.array(line["samples_ms"]) / np.median(line["samples_ms"]) for line in lines if line.get("samples_ms")]
    if not pooled:
        return {}
    ratios = np.concatenate(pooled)
    return {"p90": float(np.quantile(ratios, 0.9)), "p99": float(np.quantile(ratios, 0.99))}
