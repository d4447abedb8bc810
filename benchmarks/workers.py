"""Two of Ray's workers against one: evaluations a minute, on slices of a supernet, one thread each.

    python benchmarks/workers.py --evaluations 60

scores random slices of an untrained supernet of ``realtime`` on the built-in street scenes (what is scored costs the
same, trained or not), first by one worker, then by two, then by one and by two again. Only the search itself is timed:
the workers are ready before. Printed: evaluations a minute of each, and the ratio, which should be at least 1.8 on two
idle cores. ``--workers`` compares other numbers.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.stages.data import open_training_data
from hwnas.cli.stages.workers import Supernet, Work, module_of
from hwnas.progress import Silent
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.random_search import RandomSearch
from hwnas.search.ray_executor import Placement, local_ray, ray_workers
from hwnas.search.run import search
from hwnas.search.study import open_study
from hwnas.shapes import parse_size
from hwnas.spaces.base import SPACES
from hwnas.supernet.shared import SharedWeights


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--evaluations", type=int, default=60, help="of each search")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--data", default="streets")
    parser.add_argument("--size", default="96x128")
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--samples", type=int, default=40, help="genotypes that the supernet is laid out by")
    given = parser.parse_args()
    size_hw = parse_size(given.size)
    space, classes = SPACES.get(given.space), open_training_data(given.data, size_hw, Silent()).classes
    rng = np.random.default_rng(0)
    shared = SharedWeights.for_space(space, (3, *size_hw), classes, rng, samples=given.samples)
    net = Supernet.of(shared, "")
    module, options = module_of(space), EvaluatorOptions(evaluator="slices")
    work = Work(module, given.space, options, given.data, size_hw, Path(), 0, 1, supernet=net)
    rates: dict[int, list[float]] = {1: [], given.workers: []}
    with local_ray(given.workers):
        for _ in range(given.repeats):
            for count in rates:
                seconds = _seconds(work, count, given.evaluations)
                rates[count].append(60 * given.evaluations / seconds)
                print(f"{count} worker(s): {rates[count][-1]:.1f} evaluations a minute", flush=True)
    ratio = statistics.median(rates[given.workers]) / statistics.median(rates[1])
    print(f"{given.workers} workers do {ratio:.2f} times the evaluations of one")
    return 0 if ratio >= 0.9 * given.workers else 1


def _seconds(work: Work, count: int, evaluations: int) -> float:
    """How long a search takes that evaluates the same candidates whoever does it."""
    problem = Problem(SPACES.get(work.space), Objective("miou"))
    with tempfile.TemporaryDirectory() as folder:
        study = open_study(Path(folder) / "study.journal", problem, identity={}, seed=0)
        work = replace(work, folder=Path(folder))  # where results are kept, which no other search shall find
        with ray_workers(work, count, placement=Placement(cpus=1, threads=1)) as workers:
            workers.wait_until_ready(count)
            start = time.perf_counter()
            result = search(problem, RandomSearch(problem, seed=0), workers, study, evaluations=evaluations)
            seconds = time.perf_counter() - start
        study.close()
    failed = [trial for trial in result.trials if trial.outcome and trial.outcome.status == "failed"]
    assert not failed, failed[0].outcome
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
