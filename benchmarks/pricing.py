"""How fast a latency table prices genotypes of a space: ``predict_many``, one process, one thread.

    python benchmarks/pricing.py --genotypes 20000

Printed are the time to compile the table over the space, genotypes a second from decisions to milliseconds, and the
milliseconds of one expected latency with its gradient. Claimed: 20,000 genotypes a second. Where a space cannot be
tabulated, each genotype is expanded when it is first met: the worst rate is that of the first time. Prices are made up
unless a ``--table`` is given; that changes nothing in the work. With ``--check 1000`` so many random decisions are
priced one by one, too, by their expanded op graphs, and the greatest difference is printed; above 1e-9 ms the exit code
is 1.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

from hwnas.ir.opgraph import OpGraph
from hwnas.latency.context import Edge, edges_of
from hwnas.latency.keys import LatencyKey, keys_of
from hwnas.latency.model import TableModel
from hwnas.latency.one_by_one import compiled
from hwnas.latency.population import PopulationModel, Pricing
from hwnas.latency.table import load_table
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES, SearchSpace


class MadeUp:
    """Any price for everything."""

    overhead_ms = 0.1

    def node_ms(self, key: LatencyKey) -> float:
        return 1e-3 * len(key.text)

    def edge_ms(self, edge: Edge) -> float:
        return 1e-3 * edge.megabytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--genotypes", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--table")
    parser.add_argument("--check", type=int, default=0, help="decisions to price one by one, too")
    a = parser.parse_args()
    torch.set_num_threads(1)
    space, rng = SPACES.get(a.space), np.random.default_rng(0)
    model: Pricing = TableModel(load_table(a.table)) if a.table else MadeUp()
    start = time.perf_counter()
    population = compiled(model, space, a.size, a.classes, rng)
    how = "tabulated" if isinstance(population, PopulationModel) else "found to be no space that can be tabulated"
    print(f"{a.space} {how} in {time.perf_counter() - start:.1f} s")
    decisions = [space.sample(rng) for _ in range(a.genotypes)]
    rates = [a.genotypes / _seconds(lambda: population.predict_many(decisions)) for _ in range(a.repeats)]
    print(f"predict_many: {np.median(rates):,.0f} genotypes a second (worst of {a.repeats}: {min(rates):,.0f})")
    if isinstance(population, PopulationModel):
        _print_expected(population, space)
    if not a.check:
        return 0
    graphs = [expand(space.decode(each).genotype, (3, *a.size), a.classes) for each in decisions[: a.check]]
    alone = [_one_by_one(model, graph) for graph in graphs]
    difference = float(np.abs(population.predict_many(decisions[: a.check]) - alone).max())
    print(f"{len(graphs)} genotypes priced one by one, too: the greatest difference is {difference:.1e} ms")
    return int(difference > 1e-9)


def _print_expected(population: PopulationModel, space: SearchSpace) -> None:
    logits = {choice.name: torch.zeros(len(choice.options), requires_grad=True) for choice in space.choices}

    def step() -> None:
        population.expected_ms({name: values.softmax(0) for name, values in logits.items()}).backward()

    step()
    print(f"expected_ms with its gradient: {1e3 * np.median([_seconds(step) for _ in range(50)]):.2f} ms a call")


def _one_by_one(model: Pricing, graph: OpGraph) -> float:
    nodes = sum(model.node_ms(key) for key in keys_of(graph).values())
    return nodes + sum(model.edge_ms(edge) for edge in edges_of(graph).values()) + model.overhead_ms


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
