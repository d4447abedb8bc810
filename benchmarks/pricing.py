"""How fast a latency table prices genotypes of a space: ``predict_many``, one process, one thread.

    python benchmarks/pricing.py --genotypes 20000

Printed are the time to compile the table over the space, genotypes a second from decisions to milliseconds, and the
milliseconds of one expected latency with its gradient. Claimed: 20,000 genotypes a second. Prices are made up unless a
``--table`` is given; that changes nothing in the work.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from hwnas.latency.context import Edge
from hwnas.latency.keys import LatencyKey
from hwnas.latency.model import TableModel
from hwnas.latency.population import PopulationModel, Pricing
from hwnas.latency.table import load_table
from hwnas.shapes import parse_size
from hwnas.spaces.base import SPACES


class MadeUp:
    """Any price for everything."""

    overhead_ms = 0.1

    def node_ms(self, key: LatencyKey) -> float:
        return 1e-3 * len(key.text)

    def edge_ms(self, edge: Edge) -> float:
        return 1e-3 * edge.megabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--genotypes", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--table")
    a = parser.parse_args()
    torch.set_num_threads(1)
    space, rng = SPACES.get(a.space), np.random.default_rng(0)
    model: Pricing = TableModel(load_table(a.table)) if a.table else MadeUp()
    start = time.perf_counter()
    population = PopulationModel(model, space, a.size, a.classes, rng)
    print(f"compiled in {time.perf_counter() - start:.1f} s")
    decisions = [space.sample(rng) for _ in range(a.genotypes)]
    rates = [a.genotypes / _seconds(lambda: population.predict_many(decisions)) for _ in range(a.repeats)]
    print(f"predict_many: {np.median(rates):,.0f} genotypes a second (worst of {a.repeats}: {min(rates):,.0f})")
    logits = {choice.name: torch.zeros(len(choice.options), requires_grad=True) for choice in space.choices}

    def step() -> None:
        population.expected_ms({name: values.softmax(0) for name, values in logits.items()}).backward()

    step()
    print(f"expected_ms with its gradient: {1e3 * np.median([_seconds(step) for _ in range(50)]):.2f} ms a call")


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
