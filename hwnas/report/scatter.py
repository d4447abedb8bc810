"""One metric against another, as mIoU against latency: those points that no other beats on both joined by a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.errors import HwnasError
from hwnas.files import check_writable, write_with
from hwnas.optional import require
from hwnas.report.palette import FAINT, INK

FORMATS = (".svg", ".png", ".pdf")
MARKERS = ("o", "s", "^", "D", "v", "P")
COLOURS = ("#2f6fb0", "#c2562d", "#3a8f5c", "#7a4fa3", "#8a7a1f", "#555555")


@dataclass(frozen=True)
class Point:
    """One engine: latency in milliseconds, mIoU from 0 to 1, and what tells its kind by colour."""

    name: str
    kind: str
    latency_ms: float
    miou: float


def points_of(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """The points of ``hwnas benchmark``'s rows; those without a time or an mIoU have no place.

    Raises HwnasError if none has both.
    """
    found = [
        Point(Path(row["artifact"]).name, f"{row['engine']} {row['precision']}", row["p50_ms"], row["miou"])
        for row in rows
        if row.get("p50_ms") is not None and row.get("miou") is not None
    ]
    if not found:
        raise HwnasError(
            "no artifact has both a latency and an mIoU, so there is nothing to plot",
            "run `hwnas validate` on them first: it records the mIoU in the manifest",
        )
    return found


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other point is both at least as fast and as accurate as (and not the same), fastest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda each: (each.latency_ms, -each.miou)):
        if not kept or point.miou > kept[-1].miou:
            kept.append(point)
    return kept


@dataclass(frozen=True)
class Dot:
    """A point of any two metrics: its name stands beside it, if it has one; its kind is told by colour."""

    name: str
    kind: str
    x: float
    y: float


def draw_scatter(points: Sequence[Point], path: Path) -> Path:
    """Write the plot to ``path``, its format by the suffix. Needs matplotlib."""
    dots = [Dot(point.name, point.kind, point.latency_ms, 100 * point.miou) for point in points]
    line = [(point.latency_ms, 100 * point.miou) for point in front(points)]
    return draw_dots(dots, line, path, x_label="p50 latency of one image, ms", y_label="mIoU, %")


def check_plot(path: Path) -> None:
    """That a plot can be drawn into ``path``, by its suffix, matplotlib and its folder: to be known before the work."""
    if path.suffix not in FORMATS:
        raise HwnasError(f"cannot draw {path}: plots are {', '.join(FORMATS)}", "choose one of these suffixes")
    require("matplotlib.figure", extra="plot")
    check_writable(path)


def draw_dots(
    dots: Sequence[Dot], line: Sequence[tuple[float, float]], path: Path, *, x_label: str, y_label: str
) -> Path:
    """Write ``dots``, and a ``line`` through some of them, to ``path``, its format by the suffix. Needs matplotlib."""
    check_plot(path)
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([x for x, _ in line], [y for _, y in line], color="#bbbbbb", linewidth=1, zorder=1)
    for place, kind in enumerate(dict.fromkeys(dot.kind for dot in dots)):
        own = [dot for dot in dots if dot.kind == kind]
        axes.scatter(
            [dot.x for dot in own],
            [dot.y for dot in own],
            label=kind,
            marker=MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            zorder=2,
        )
    for dot in dots:
        if dot.name:
            place_xy = (dot.x, dot.y)
            axes.annotate(dot.name, place_xy, xytext=(5, 4), textcoords="offset points", fontsize=8, color=FAINT)
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.grid(color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.12)
    axes.legend(frameon=False, fontsize=8)
    write_with(path, lambda beside: figure.savefig(beside, format=path.suffix[1:], dpi=144))
    return path
