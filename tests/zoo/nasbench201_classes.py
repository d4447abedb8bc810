"""NAS-Bench-201's 15,625 cells, and three ways to say which of them are the same; none of them uses hwnas."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
Cell = tuple[str, ...]
"""An operation for each of EDGES (from, to)."""
ZERO = "#"


def all_cells() -> Iterator[Cell]:
    """Every cell."""
    return itertools.product(OPERATIONS, repeat=len(EDGES))


def arch_string(cell: Cell) -> str:
    """The cell in the benchmark's notation."""
    nodes = []
    for node in (1, 2, 3):
        edges = [f"{op}~{start}" for (start, end), op in zip(EDGES, cell, strict=True) if end == node]
        nodes.append(f"|{'|'.join(edges)}|")
    return "+".join(nodes)


def nats_class(cell: Cell, *, zeros: str = "collapse") -> str:
    """NATS-Bench's rule: a skip is the text of its node, a sum its sorted terms, and a zero ``#``.

    With ``zeros="keep"`` only skips collapse; with ``"drop"`` zeros are no terms of sums.
    """
    texts = {0: "0"}
    for node in (1, 2, 3):
        terms = []
        for (start, end), op in zip(EDGES, cell, strict=True):
            if end != node:
                continue
            if zeros != "keep" and (op == "none" or texts[start] == ZERO):
                terms += [ZERO] if zeros == "collapse" else []
            else:
                terms.append(texts[start] if op == "skip_connect" else f"({texts[start]})@{op}")
        texts[node] = "+".join(sorted(terms)) or ZERO
    return texts[3]


def flattened_class(cell: Cell) -> str:
    """The rule without zeros in sums, and with sums behind skips taken apart: a sum is the multiset of its terms."""
    terms_of: dict[int, list[str]] = {0: ["0"]}
    for node in (1, 2, 3):
        terms: list[str] = []
        for (start, end), op in zip(EDGES, cell, strict=True):
            if end == node and op != "none" and terms_of[start]:
                terms += terms_of[start] if op == "skip_connect" else [f"({'+'.join(terms_of[start])})@{op}"]
        terms_of[node] = sorted(terms)
    return "+".join(terms_of[3]) or ZERO


def reaches_the_output(cell: Cell) -> bool:
    """Whether there is a path from the input to the output without a ``none``."""
    return flattened_class(cell) != ZERO
