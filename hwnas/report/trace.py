"""Expected and derived latency of a relaxation over its steps, beside the budget: where the discretisation gap is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.files import write_with
from hwnas.optional import require
from hwnas.report.palette import INK

EXPECTED, DERIVED, LIMIT = "#2f6fb0", "#c2562d", "#888888"


def draw_trace(looks: Sequence[Mapping[str, Any]], limit_ms: float, path: Path) -> Path:
    """Write the plot of ``looks`` (``step``, ``expected_ms`` or None, ``derived_ms``) to ``path``. Needs matplotlib."""
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    known = [look for look in looks if look["expected_ms"] is not None]
    axes.axhline(limit_ms, color=LIMIT, linewidth=1, linestyle="--", label="budget, as searched")
    axes.plot(
        [look["step"] for look in known], [look["expected_ms"] for look in known], color=EXPECTED, label="expected"
    )
    axes.plot(
        [look["step"] for look in looks],
        [look["derived_ms"] for look in looks],
        color=DERIVED,
        drawstyle="steps-post",
        label="derived",
    )
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel("predicted p50 latency, ms", color=INK)
    axes.grid(color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    write_with(path, lambda beside: figure.savefig(beside, format=path.suffix[1:], dpi=144))
    return path
