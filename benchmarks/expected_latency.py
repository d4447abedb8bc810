"""Is the expected latency of a relaxation the mean of what is drawn from it?

    python benchmarks/expected_latency.py --space darts --genotypes 10000

For each space, a random relaxation is made; its expected latency is compared with the mean prediction of so many
genotypes sampled from it, each expanded and priced on its own. Printed are both, their difference in percent, the
standard error of the mean, and how the expectation was found: exactly, through the space's factors or its sites, or
from draws of its own (``--window``, with another seed). Claimed: within 1%. Prices are made up unless a ``--table`` is
given.
The exit code is 1 if a space is further off than 1% and three standard errors.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Hashable
from functools import cache

import numpy as np
import torch

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.context import Edge, edges_of
from hwnas.latency.features import key_size
from hwnas.latency.keys import LatencyKey
from hwnas.latency.model import TableModel
from hwnas.latency.population import Pricing
from hwnas.latency.table import load_table
from hwnas.search.gradient.expected import DrawnExpectation, exact, is_exact
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES, Decisions
from hwnas.spaces.relaxed import relaxed, sampler_of

CLAIMED = ("realtime", "darts", "auto-deeplab", "fasterseg", "nasnet")


class MadeUp:
    """A price by multiply-adds and bytes; of edges, another for every pair of kinds."""

    overhead_ms = 0.2

    @cache  # noqa: B019
    def node_ms(self, key: LatencyKey) -> float:
        size = key_size(key)
        return 0.02 + size.macs / 3e7 + size.output_bytes / 1e7

    def edge_ms(self, edge: Edge) -> float:
        return edge.megabytes * (1 + zlib.crc32(f"{edge.producer}>{edge.consumer}".encode()) % 10) / 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", action="append", help=f"spaces; else {', '.join(CLAIMED)}")
    parser.add_argument("--size", type=parse_size, default=(384, 512))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--genotypes", type=int, default=200)
    parser.add_argument("--window", type=int, default=2000)
    parser.add_argument("--sharpness", type=float, default=1.0)
    parser.add_argument("--table")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    torch.set_num_threads(1)
    wrong = [name for name in a.space or CLAIMED if not _row(name, a)]
    return 1 if wrong else 0


def _row(name: str, a: argparse.Namespace) -> bool:
    """Compare for one space, and print; whether it is within the claim."""
    space, rng = relaxed(SPACES.get(name)), np.random.default_rng(a.seed)
    model: Pricing = TableModel(load_table(a.table)) if a.table else MadeUp()
    weights = {
        choice.name: torch.from_numpy(a.sharpness * rng.normal(size=len(choice.options))).softmax(0)
        for choice in space.relaxation
    }

    known: dict[Hashable, float] = {}

    def node_ms(graph: OpGraph, node: Node) -> float:
        """By the node's key, which is made once for all equal nodes."""
        fact = (node.op, tuple(node.params.items()), graph.input_shapes(node.name))
        if fact not in known:
            known[fact] = model.node_ms(LatencyKey(node.op, node.params, fact[2]))
        return known[fact]

    def price(decisions: Decisions) -> float:
        graph = expand(space.decode(decisions).genotype, (3, *a.size), a.classes)
        nodes = sum(node_ms(graph, node) for node in graph.nodes)
        return nodes + sum(model.edge_ms(edge) for edge in edges_of(graph).values()) + model.overhead_ms

    start = time.perf_counter()
    if is_exact(space):
        expected = exact(space, model, a.size, a.classes, rng)(weights)
    else:
        expected = DrawnExpectation(space, price, window=a.window, fresh=a.window, seed=a.seed + 1)(weights)
    seconds = time.perf_counter() - start
    draw = sampler_of(space, weights)
    prices = np.array([price(draw(rng)) for _ in range(a.genotypes)])
    error = float(expected) / prices.mean() - 1
    standard = prices.std() / np.sqrt(len(prices)) / prices.mean()
    how = "exact" if is_exact(space) else f"{a.window} draws"
    print(
        f"{name:<20} expected {float(expected):8.3f} ms ({how}, {seconds:.0f} s), mean of {a.genotypes} "
        f"{prices.mean():8.3f} ms: {error:+.2%}, standard error {standard:.2%}",
        flush=True,
    )
    return abs(error) <= max(0.01, 3 * standard)


if __name__ == "__main__":
    sys.exit(main())
