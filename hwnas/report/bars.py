"""Bars: how long each node of a network takes, the dearest first, beside what a latency table says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import graphviz

from hwnas.report.dot import render
from hwnas.report.label import Swatch, heading, text
from hwnas.report.palette import FAINT, FAMILIES, INK, family_colour, outline
from hwnas.shapes import format_shape

if TYPE_CHECKING:
    from hwnas.exporters.explain import Explanation, NodeTime

MOST_ROWS = 40
"""Nodes that are drawn one by one; the cheapest of a larger network share a row."""
BAR_WIDTH = 260
"""Points that the longest bar is wide."""
CONVERSION = "#7d7d7d"
WHITE = "#ffffff"
NO_NODE = "#d9d9d9"


@dataclass(frozen=True)
class Bar:
    """One row. ``ms`` is drawn in ``colour``, of which ``converts_ms`` in grey; a prediction as a line below."""

    name: str
    detail: str
    ms: float
    colour: str
    converts_ms: float = 0.0
    predicted_ms: float | None = None


def bars_of(explanation: Explanation) -> tuple[list[Bar], list[Swatch]]:
    """The rows of an explanation, the dearest nodes first, and the legend of their colours."""
    timed = sorted((node for node in explanation.nodes if node.kernels), key=lambda node: -node.ms)
    bars = [_bar(node) for node in timed[:MOST_ROWS]]
    if rest := timed[MOST_ROWS:]:
        bars.append(_others(rest))
    if explanation.unattributed:
        detail = f"{len(explanation.unattributed)} kernels of no node"
        bars.append(Bar("unattributed", detail, explanation.unattributed_ms, NO_NODE))
    overhead_ms = explanation.predicted.overhead_ms if explanation.predicted else None
    bars.append(Bar("between kernels", "", max(explanation.between_ms, 0.0), NO_NODE, predicted_ms=overhead_ms))
    return bars, _legend(timed, bars)


def draw_bars(bars: Sequence[Bar], title: str, legend: Sequence[Swatch] = (), *, total_ms: float) -> str:
    """DOT source of a table of bars. Shares are of ``total_ms``."""
    widest = max((max(bar.ms, bar.predicted_ms or 0.0) for bar in bars), default=0.0) or 1.0
    predicted = any(bar.predicted_ms is not None for bar in bars)
    heads = [("node", "left"), ("op and output", "left"), ("", "left"), ("ms", "right"), ("share", "right")]
    heads += [("table ms", "right"), ("off by", "right")] if predicted else []
    header = "".join(_cell(text(head, size=9, colour=FAINT) if head else "", align) for head, align in heads)
    rows = [f"<tr>{header}</tr>", *(_row(bar, widest, total_ms, predicted) for bar in bars)]
    dot = graphviz.Digraph(
        graph_attr={"label": heading(title, legend), "labelloc": "t", "fontname": "Helvetica", "bgcolor": "white"},
        node_attr={"shape": "plain", "fontname": "Helvetica"},
    )
    dot.node("bars", f'<<table border="0" cellspacing="0" cellpadding="3">{"".join(rows)}</table>>')
    return str(dot.source)


def draw_explanation(explanation: Explanation, title: str, folder: Path) -> tuple[Path, ...]:
    """Write ``bars.svg`` and ``bars.png`` into ``folder``."""
    bars, legend = bars_of(explanation)
    source = draw_bars(bars, title, legend, total_ms=explanation.profiled_ms)
    return tuple(render(source, folder / "bars", format) for format in ("svg", "png"))


def _bar(node: NodeTime) -> Bar:
    detail = f"{node.op}, {format_shape(node.shape)}" if node.shape else node.op
    return Bar(node.name, detail, node.ms, _colour(node.family), node.converts_ms, node.predicted_ms)


def _colour(family: str) -> str:
    """That of pictures of networks, where it can be seen without a frame."""
    colour = family_colour(family)
    return outline(colour) if colour == WHITE else colour


def _others(nodes: Sequence[NodeTime]) -> Bar:
    """All of ``nodes`` in one row."""
    predicted = [node.predicted_ms for node in nodes if node.predicted_ms is not None]
    return Bar(
        f"{len(nodes)} other nodes" if len(nodes) > 1 else "1 other node",
        f"at most {nodes[0].ms:.3f} ms each",
        sum(node.ms for node in nodes),
        NO_NODE,
        sum(node.converts_ms for node in nodes),
        sum(predicted) if predicted else None,
    )


def _legend(timed: Sequence[NodeTime], bars: Sequence[Bar]) -> list[Swatch]:
    present = {node.family for node in timed[:MOST_ROWS]}
    ordered = [family for family in FAMILIES if family in present] + sorted(present - set(FAMILIES))
    swatches = [(_colour(family), family) for family in ordered]
    if any(bar.converts_ms > 0 for bar in bars):
        swatches.append((CONVERSION, "converting layouts"))
    if any(bar.predicted_ms is not None for bar in bars):
        swatches.append((INK, "thin: by the table"))
    return swatches


def _row(bar: Bar, widest: float, total_ms: float, predicted: bool) -> str:
    cells = [
        _cell(text(bar.name)),
        _cell(text(bar.detail, size=8, colour=FAINT) if bar.detail else ""),
        _cell(_strips(bar, widest)),
        _cell(text(f"{bar.ms:.3f}"), "right"),
        _cell(text(f"{bar.ms / total_ms:.1%}" if total_ms else "", colour=FAINT), "right"),
    ]
    if predicted and bar.predicted_ms is not None:
        cells.append(_cell(text(f"{bar.predicted_ms:.3f}"), "right"))
        cells.append(_cell(text(f"{bar.predicted_ms - bar.ms:+.3f}", colour=FAINT), "right"))
    elif predicted:
        cells += [_cell(""), _cell("")]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(content: str, align: str = "left") -> str:
    return f'<td align="{align}">{content}</td>'


def _strips(bar: Bar, widest: float) -> str:
    """The bar, with what it converts, and below it the prediction; a table in a table."""
    rows = [_strip([(bar.ms - bar.converts_ms, bar.colour), (bar.converts_ms, CONVERSION)], 10, widest)]
    if bar.predicted_ms is not None:
        rows.append(_strip([(bar.predicted_ms, INK)], 2, widest))
    body = "".join(f'<tr><td align="left">{row}</td></tr>' for row in rows)
    return f'<table border="0" cellspacing="0" cellpadding="0">{body}</table>'


def _strip(parts: Sequence[tuple[float, str]], height: int, widest: float) -> str:
    """Coloured cells side by side, ``widest`` being BAR_WIDTH points, filled up with white."""
    points = [(max(round(BAR_WIDTH * value / widest), 1), colour) for value, colour in parts if value > 0]
    points.append((BAR_WIDTH + 3 - sum(width for width, _ in points), "white"))
    cells = "".join(
        f'<td fixedsize="true" width="{width}" height="{height}" bgcolor="{colour}"></td>' for width, colour in points
    )
    return f'<table border="0" cellspacing="0" cellpadding="0"><tr>{cells}</tr></table>'
