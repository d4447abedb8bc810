"""All strategies on the tabulated benchmark, at equal evaluations, against random search; regret curves plotted.

    python benchmarks/strategies.py tab --seeds 20 --plot regret.svg

reads ``tab/benchmark.json`` (of ``build_tabulated.py``) and searches it with every strategy and seed, under a limit on
predicted latency (its ``--quantile`` over the file). What is not in the file is out of every search's reach, so an
incomplete file works, too. There are two problems:

- ``scores``: the supernet's scores, for strategies that evaluate at one fidelity;
- ``trained``: the trainings of 1×, 2× and 3× the epochs. A full training (3×) is 1 evaluation, a shorter one the part
  of it, and one that goes on from a shorter one what is added; so ``halving`` and ``econas`` try more candidates for
  the same work. What counts is the fully trained mIoU of the candidate that a strategy would answer with: the best
  by its own scores, of those at the highest fidelity that it reached.

Printed for each strategy: median regret (the best in the file within the limit, less what was found) after all
evaluations, its quartiles, in how many seeds it was better than random with the same seed, and whether it beats random
in the median. Results are kept in ``tab/results.jsonl`` and not computed again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tabulated import FIDELITIES, Item, Lines, key_of, load, scored_space, trained_space

from hwnas.search.costs import LATENCY
from hwnas.search.make import make_strategy
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.strategy import Outcome, Request
from hwnas.spaces.base import Decisions, SearchSpace

STRATEGIES = {
    "random": "random",
    "qmc": "qmc",
    "evolution": "evolution",
    "evolution, crossover": "evolution:crossover=0.5",
    "tpe": "tpe",
    "nsga2": "nsga2",
    "nsga3": "nsga3",
    "gp": "gp",
    "rl, PPO": "rl",
    "rl, REINFORCE": "rl:algorithm=reinforce",
    "halving": "halving:min_fidelity=0.33,eta=3",
    "halving, evolution": "halving:min_fidelity=0.33,eta=3,around=evolution",
    "econas": "econas",
}
TICKS = (0, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Of the picture, in points of mIoU."""
OF_FIDELITIES = ("halving", "halving, evolution", "econas")
"""They need the problem ``trained``."""


@dataclass(frozen=True)
class Bench:
    """One problem of the file: what can be found, and how good it is at each fidelity."""

    space: SearchSpace
    items: Mapping[str, Item]
    limit_ms: float
    values: Callable[[Item], tuple[float, ...]]
    """mIoU at each of the fidelities."""

    @property
    def best(self) -> float:
        """The best value at full fidelity within the limit."""
        return max(self.values(item)[-1] for item in self.items.values() if item.costs[LATENCY] <= self.limit_ms)

    def problem(self) -> Problem:
        def price(decisions: Decisions) -> Mapping[str, float]:
            item = self.items.get(key_of(self.space, decisions))
            return {LATENCY: float("inf")} if item is None else item.costs

        return Problem(self.space, Objective(limits={LATENCY: self.limit_ms}), price)

    def evaluate(self, request: Request) -> tuple[Outcome, float]:
        """What came of a request, and what it cost, in full evaluations."""
        key = key_of(self.space, request.decisions)
        level = int(np.abs(np.array(FIDELITIES) - request.fidelity).argmin())
        done = float(request.continue_from.rpartition(" ")[2]) if request.continue_from else 0.0
        values = {"miou": self.values(self.items[key])[level], **self.items[key].costs}
        outcome = Outcome(request, values, checkpoint=f"{key} {FIDELITIES[level]}")
        return outcome, max(FIDELITIES[level] - done, 0.0)

    def regrets(self, strategy: str, evaluations: int, seed: int) -> list[float]:
        """Regret after 1, 2, … full evaluations' worth of work."""
        made = make_strategy(strategy, self.problem(), seed=seed)
        spent, standing, answer = 0.0, (0.0, -1.0), 0.0
        curve: list[float] = []
        while spent < evaluations:
            asked = made.ask(1)
            if not asked:
                break
            outcome, cost = self.evaluate(asked[0])
            made.tell([outcome])
            spent += cost
            if (place := (round(asked[0].fidelity, 2), outcome.values["miou"])) > standing:
                standing = place
                answer = self.values(self.items[key_of(self.space, asked[0].decisions)])[-1]
            while len(curve) < min(int(spent + 1e-9), evaluations):
                curve.append(self.best - answer)
        return curve + [self.best - answer] * (evaluations - len(curve))


@cache
def benches(folder: Path, quantile: float) -> dict[str, Bench]:
    """The problems that the file has enough for."""
    items = load(folder)
    limit_ms = float(np.quantile([item.costs[LATENCY] for item in items.values()], quantile))
    scored = {key: item for key, item in items.items() if item.score is not None}
    trained = {key: item for key, item in items.items() if item.trained}
    found = {
        "scores": Bench(scored_space(), scored, limit_ms, lambda item: (item.score or 0.0,) * len(FIDELITIES)),
        "trained": Bench(trained_space(), trained, limit_ms, lambda item: item.trained),
    }
    return {
        name: bench
        for name, bench in found.items()
        if sum(item.costs[LATENCY] <= limit_ms for item in bench.items.values()) > 1
    }


def work(folder: Path, quantile: float, problem: str, strategy: str, evaluations: int, seed: int) -> dict[str, Any]:
    """One search, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    start = time.process_time()
    curve = benches(folder, quantile)[problem].regrets(STRATEGIES[strategy], evaluations, seed)
    return {"regret": [round(value, 6) for value in curve], "seconds": round(time.process_time() - start, 3)}


def report(problem: str, curves: Mapping[str, Mapping[int, list[float]]], seconds: Mapping[str, list[float]]) -> None:
    """The table of one problem."""
    if "random" not in curves:
        return
    baseline = curves["random"]
    print(f"\n{problem}: regret in points of mIoU after {len(next(iter(baseline.values())))} evaluations")
    print(f"{'strategy':<22}{'median':>8}{'quartiles':>16}{'better than random':>20}{'beats it':>10}{'s a search':>12}")
    threshold = np.median([curve[-1] for curve in baseline.values()])
    for name, by_seed in sorted(curves.items(), key=lambda each: float(np.median([c[-1] for c in each[1].values()]))):
        last = 100 * np.array([curve[-1] for curve in by_seed.values()])
        low, high = np.quantile(last, (0.25, 0.75))
        wins = sum(curve[-1] < baseline[seed][-1] for seed, curve in by_seed.items() if seed in baseline)
        beats = "" if name == "random" else "yes" if np.median(last) / 100 < threshold else "NO"
        print(
            f"{name:<22}{np.median(last):>8.3f}{f'{low:.3f} to {high:.3f}':>16}{f'{wins} of {len(by_seed)}':>20}"
            f"{beats:>10}{np.median(seconds[name]):>12.1f}"
        )


def plot(all_curves: Mapping[str, Mapping[str, Mapping[int, list[float]]]], path: Path) -> None:
    """Median regret against evaluations, with random's quartiles."""
    from hwnas.optional import require

    require("matplotlib", extra="plot")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(all_curves), figsize=(7 * len(all_curves), 5), squeeze=False)
    for axis, (problem, curves) in zip(axes[0], all_curves.items(), strict=True):
        for name, by_seed in curves.items():
            index = list(STRATEGIES).index(name)  # the same colour in every picture
            points = 100 * np.array(list(by_seed.values()))
            steps = np.arange(1, points.shape[1] + 1)
            axis.plot(steps, np.median(points, 0), label=name, color=f"C{index % 10}", ls="-" if index < 10 else "--")
            if name == "random":
                axis.fill_between(steps, *np.quantile(points, (0.25, 0.75), axis=0), color=f"C{index % 10}", alpha=0.2)
        axis.set(title=problem, xlabel="evaluations", ylabel="regret, points of mIoU")
        axis.set_yscale("symlog", linthresh=0.1)  # regrets end at 0
        axis.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axis.set_yticks([], minor=True)
        axis.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path)
    print(f"curves: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=200, help="of the problem `scores`")
    parser.add_argument("--trainings", type=int, default=40, help="full ones, of the problem `trained`")
    parser.add_argument("--quantile", type=float, default=0.5, help="of latency, where the hard limit is")
    parser.add_argument("--strategies", default=",".join(STRATEGIES), help="separated by `;` where names have commas")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    names = list(STRATEGIES)
    if options.strategies != ",".join(STRATEGIES):
        names = [name.strip() for name in options.strategies.split(";")]
    problems = benches(options.folder, options.quantile)
    for name, bench in problems.items():
        within = sum(item.costs[LATENCY] <= bench.limit_ms for item in bench.items.values())
        print(f"{name}: {len(bench.items)} genotypes, {within} within {bench.limit_ms:.3f} ms, best {bench.best:.2%}")
    done = Lines(options.folder / "results.jsonl")
    counts = {"scores": options.evaluations, "trained": options.trainings}
    tasks = {
        json.dumps([problem, name, seed, counts[problem], options.quantile, len(problems[problem].items)]): (
            problem,
            name,
            seed,
        )
        for problem in problems
        for name in names
        for seed in range(options.seeds)
        if problem == "trained" or name not in OF_FIDELITIES
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        futures = {
            pool.submit(work, options.folder, options.quantile, problem, name, counts[problem], seed): key
            for key, (problem, name, seed) in tasks.items()
            if key not in done.rows
        }
        for future in as_completed(futures):
            done.add(futures[future], **future.result())
    all_curves: dict[str, dict[str, dict[int, list[float]]]] = {}
    for problem in problems:
        curves: dict[str, dict[int, list[float]]] = {}
        seconds: dict[str, list[float]] = {}
        for key, (of, name, seed) in tasks.items():
            if of == problem:
                curves.setdefault(name, {})[seed] = done.rows[key]["regret"]
                seconds.setdefault(name, []).append(done.rows[key]["seconds"])
        report(problem, curves, seconds)
        all_curves[problem] = curves
    if options.plot:
        plot(all_curves, options.plot)


if __name__ == "__main__":
    main()
