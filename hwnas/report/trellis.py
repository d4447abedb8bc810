"""Paths through resolutions on their trellis of strides and layers: chosen paths bold, alternatives grey.

As papers draw them: one column a layer, one row a stride, an arrow for every step that the space allows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import graphviz

from hwnas.ir.genotype import Genotype
from hwnas.report.label import heading, text
from hwnas.report.palette import FAINT, INK

COLUMN, ROW = 0.8, 0.7
"""Inches from one layer, and from one stride, to the next."""
PATHS = ("#c0392b", "#2065a8", "#3f8f3a", "#8e44ad")
GREY = "#cfcfcf"


@dataclass(frozen=True)
class Trellis:
    """``paths`` are levels by layer (0 is the first of ``strides``); a path may be shorter than the longest.

    ``steps`` says how far, in levels, each layer may lead: (-1, 0, 1) up, level or down. Paths start at ``start``.
    """

    strides: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]
    steps: tuple[int, ...] = (-1, 0, 1)
    start: tuple[int, ...] = (0, 1)
    names: tuple[str, ...] = ()

    @property
    def layers(self) -> int:
        """Columns: layers of the longest path."""
        return max(map(len, self.paths))

    def reachable(self) -> list[set[int]]:
        """For each layer, the levels that some path of the space is at."""
        found = [set(self.start)]
        for _ in range(self.layers - 1):
            found.append({level + step for level in found[-1] for step in self.steps} & set(range(len(self.strides))))
        return found


def draw_trellis(trellis: Trellis, title: str = "") -> str:
    """DOT source of a trellis, laid out by pinned positions."""
    legend = [(colour, name) for colour, name in zip(_colours(trellis), trellis.names, strict=False)]
    dot = graphviz.Digraph(
        graph_attr={"layout": "neato", "splines": "line", "bgcolor": "white", "fontname": "Helvetica"}
        | {"label": heading(title, legend), "labelloc": "t", "pad": "0.15"},
        node_attr={"shape": "circle", "fixedsize": "true", "width": "0.3", "fontname": "Helvetica", "label": ""},
        edge_attr={"arrowsize": "0.5", "color": GREY, "penwidth": "1"},
    )
    for row, stride in enumerate(trellis.strides):
        _label(dot, f"stride{stride}", f"stride {stride}", -1.0, row)
    for layer in range(trellis.layers):
        _label(dot, f"layer{layer}", str(layer + 1), layer, len(trellis.strides) - 0.35)
    _label(dot, "layers", "layer", -1.0, len(trellis.strides) - 0.35)
    _places(dot, trellis)
    _steps(dot, trellis)
    return str(dot.source)


def _places(dot: graphviz.Digraph, trellis: Trellis) -> None:
    chosen: dict[tuple[int, int], list[str]] = {}
    for path, colour in zip(trellis.paths, _colours(trellis), strict=True):
        for layer, level in enumerate(path):
            chosen.setdefault((layer, level), []).append(colour)
    for layer, levels in enumerate(trellis.reachable()):
        for level in sorted(levels | {level for place, level in chosen if place == layer}):
            colours = chosen.get((layer, level), [])
            fill = {"fillcolor": ":".join(colours) or "white", "color": colours[0] if colours else GREY}
            style = "wedged" if len(colours) > 1 else "filled"
            dot.node(_id(layer, level), pos=_position(layer, level), style=style, **fill)


def _steps(dot: graphviz.Digraph, trellis: Trellis) -> None:
    """Alternatives first: what is drawn later lies above."""
    taken: dict[tuple[int, int, int], list[str]] = {}
    for path, colour in zip(trellis.paths, _colours(trellis), strict=True):
        for layer, (level, following) in enumerate(itertools.pairwise(path)):
            taken.setdefault((layer, level, following), []).append(colour)
    reachable = trellis.reachable()
    for layer, levels in enumerate(reachable[:-1]):
        for level in sorted(levels):
            for step in trellis.steps:
                if level + step in reachable[layer + 1] and (layer, level, level + step) not in taken:
                    dot.edge(_id(layer, level), _id(layer + 1, level + step))
    for (layer, level, following), colours in taken.items():
        # two paths on one step: parallel lines
        dot.edge(_id(layer, level), _id(layer + 1, following), color=":".join(colours), penwidth="3", arrowsize="0.8")


def _label(dot: graphviz.Digraph, name: str, words: str, column: float, row: float) -> None:
    dot.node(
        name,
        f"<{text(words, size=10, colour=FAINT if words.isdigit() else INK)}>",
        shape="plaintext",
        width="0.9",
        pos=_position(column, row),
    )


def _id(layer: int, level: int) -> str:
    return f"p{layer}_{level}"


def _position(column: float, row: float) -> str:
    return f"{column * COLUMN:.3f},{-row * ROW:.3f}!"


def _colours(trellis: Trellis) -> Sequence[str]:
    return [PATHS[index % len(PATHS)] for index in range(len(trellis.paths))]


def _auto_deeplab(genotype: Genotype) -> Trellis:
    return Trellis((4, 8, 16, 32), (_levels(genotype.params["path"]),))


def _fasterseg(genotype: Genotype) -> Trellis:
    paths = genotype.params["paths"]
    assert isinstance(paths, tuple)
    names = tuple(f"branch {index}" for index in range(1, len(paths) + 1))
    return Trellis((8, 16, 32), tuple(_levels(path) for path in paths), (0, 1), (0,), names if len(names) > 1 else ())


def _levels(path: object) -> tuple[int, ...]:
    assert isinstance(path, tuple)
    return tuple(int(level) for level in path)


TRELLISES: dict[str, Callable[[Genotype], Trellis]] = {"auto-deeplab": _auto_deeplab, "fasterseg": _fasterseg}
"""Skeleton → the trellis of a genotype of it that expands."""
